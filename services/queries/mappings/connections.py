"""What a page says about itself, read off the line that sums the page up."""

from services.queries.mappings.fields import Column, Mapping, Word

PAGE_INFO = Mapping(
    fields={
        "hasNextPage": Column("has_next"),
        "hasPreviousPage": Column("has_previous"),
        "startCursor": Word("start_cursor"),
        "endCursor": Word("end_cursor"),
    }
)

CONNECTION_FIELDS = frozenset({"edges", "nodes", "pageInfo", "totalCount"})
EDGE_FIELDS = frozenset({"cursor", "node"})
