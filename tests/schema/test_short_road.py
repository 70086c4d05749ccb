"""The short road by itself: what it plans, what it keeps, and where it leaves the answer to the loaders."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
import strawberry
from graphql import (
    FieldNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
    parse,
)
from strawberry.extensions import FieldExtension
from strawberry.schema.schema_converter import GraphQLCoreConverter

from schema.build import build_schema
from schema.documents import DocumentCache, DocumentLimits
from schema.extensions.error_codes import ErrorCodes
from schema.extensions.limits import Limits
from schema.extensions.plan import PLAN_ASKED, PlanTold
from schema.holes import LOADED
from schema.rendered import ShortRoad
from services.domain.selection import HOLE_COMMA, HOLE_EDGE, TYPENAME
from services.domain.viewers import Role, Viewer
from services.queries.mappings import MAPPINGS
from services.queries.mappings.connections import CONNECTION_FIELDS, EDGE_FIELDS
from services.queries.mappings.fields import Elsewhere
from tests.graphql_api import Api, account_id, user_id
from tests.schema.roads import ask_loaders, without_more

SCHEMA = build_schema()._schema
ROOTS = ("posts", "post", "accounts", "account", "node", "nodes")


def reachable() -> dict[str, GraphQLObjectType]:
    """All types below the root fields that have a short road, but not below holes."""
    found: dict[str, GraphQLObjectType] = {}
    assert SCHEMA.query_type is not None
    stack: list[Any] = [get_named_type(SCHEMA.query_type.fields[name].type) for name in ROOTS]
    while stack:
        of = stack.pop()
        if isinstance(of, (GraphQLInterfaceType, GraphQLUnionType)):
            stack.extend(SCHEMA.get_possible_types(of))
        elif isinstance(of, GraphQLObjectType) and of.name not in found:
            found[of.name] = of
            mapped = MAPPINGS[of.name].fields if of.name in MAPPINGS else {}
            stack += [
                get_named_type(field.type)
                for name, field in of.fields.items()
                if not isinstance(mapped.get(name), Elsewhere)
            ]
    return found


@pytest.mark.parametrize("name", reachable())
def test_every_field_has_a_mapping(name: str) -> None:
    """A field that is new in the schema fails here until a mapping says where it comes from."""
    fields = set(reachable()[name].fields)
    if name.endswith("Connection"):
        assert fields == CONNECTION_FIELDS
    elif name.endswith("Edge"):
        assert fields == EDGE_FIELDS
    else:
        assert fields == set(MAPPINGS[name].fields)


def test_every_hole_is_filled_from_plain_fields() -> None:
    """Somebody loads it, and nothing below it needs a resolver."""
    holes = {
        (name, field)
        for name, mapping in MAPPINGS.items()
        for field, source in mapping.fields.items()
        if isinstance(source, Elsewhere)
    }
    assert {field for _, field in holes} == set(LOADED)
    stack: list[Any] = [get_named_type(SCHEMA.type_map[name].fields[field].type) for name, field in holes]
    while stack:
        for field in stack.pop().fields.values():
            assert field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].base_resolver is None
            if is_composite_type(get_named_type(field.type)):
                stack.append(get_named_type(field.type))


@pytest.fixture
async def ada(api: Api) -> Viewer:
    """Somebody with three posts to one account."""
    ada = await api.add_person()
    account = await api.add_account(ada)
    for hours in (1, 2, 3):
        await api.schedule(ada, account, hours=hours, caption=f"Post {hours}")
    return ada


async def road(api: Api, document: str, viewer: Viewer, **variables: Any) -> list[dict[str, Any]]:
    """By which roads the root fields were answered."""
    api.schema = build_schema(extensions=[ErrorCodes, PlanTold])
    async with api.context(viewer) as context:
        context.extras[PLAN_ASKED] = True
        result = await api.schema.execute(document, variable_values=variables, context_value=context)
    assert not result.errors
    plan: list[dict[str, Any]] = (result.extensions or {})["plan"]["fields"]
    return plan


SHAPES = {
    "@skip and @include": (
        "query ($yes: Boolean! = true, $no: Boolean! = false) { posts { nodes { id @skip(if: $yes) "
        "caption @include(if: $yes) @skip(if: $no) ... @include(if: $no) { version } } } }"
    ),
    "nothing left": "{ posts { nodes { id @skip(if: true) targets { id @skip(if: true) } } } }",
    "nothing left of a page": "{ posts { nodes @skip(if: true) { id } } }",
    "fields of one name": "{ posts { nodes { targets { id } } nodes { targets { status account { id } } id } } }",
    "fragments": (
        "{ posts { ...P edges { node { ...N ... on Post { targets { ...N } } } } } } "
        "fragment P on PostConnection { __typename nodes { ...N __typename } } fragment N on Node { id __typename }"
    ),
    "one field twice": (
        "{ accounts { nodes { a: posts(first: 1) { nodes { caption } } b: posts(last: 1) { nodes { caption } } "
        'c: posts(orderBy: CREATED_AT_DESC, filter: {search: "2"}) { totalCount pageInfo { endCursor } } } } }'
    ),
    "names of columns": (
        "{ posts { list_0: nodes { page_number: id } page_cursor: edges { id: cursor } has_next: __typename } }"
    ),
    "keywords": "{ posts { select: nodes { user: id from: caption table: __typename } } }",
    "only one fact": "{ posts { pageInfo { hasPreviousPage } } none: posts(first: 0) { pageInfo { __typename } } }",
    "only facts": "{ posts(first: 2) { pageInfo { __typename hasNextPage hasPreviousPage startCursor endCursor } } }",
    "no rows": "{ posts(first: 0) { totalCount nodes { id } pageInfo { hasNextPage startCursor endCursor } } }",
    "holes": (
        "{ accounts { nodes { r: rateLimit { __typename limit key } rateLimit { remaining } "
        "circuitBreaker { name state lastTransitions { from to reason } openedAt } } } }"
    ),
}


@pytest.mark.parametrize("name", SHAPES)
async def test_odd_shapes_are_answered_alike(api: Api, ada: Viewer, name: str) -> None:
    """And none of them needs the loaders."""
    document = SHAPES[name]
    answer = await api.data(document, ada)
    assert answer == without_more(await api.data(ask_loaders(document), ada))
    assert {step["road"] for step in await road(api, document, ada)} == {"RENDERED"}


async def test_values_of_variables_make_no_new_plan(api: Api, ada: Viewer) -> None:
    """Only which of them are given does."""
    document = """
    query ($first: Int, $after: String, $search: String, $ids: [ID!]!, $from: DateTime) {
      posts(first: $first, after: $after, filter: {search: $search, scheduledFrom: $from}) { nodes { id } }
      nodes(ids: $ids) { id ... on Account { posts(first: $first, after: $after) { nodes { id } } } }
    }
    """
    first = (await api.data("{ posts { edges { cursor } } }", ada))["posts"]["edges"]
    known = None
    for number in range(20):
        await api.data(
            document,
            ada,
            first=number,
            after=first[number % 3]["cursor"],
            search=f"Post {number}",
            ids=[user_id(ada)] * number,
            **{"from": f"20{number + 10}-01-01T00:00:00Z"},
        )
        known = known or len(api.services.optimizer)
        assert len(api.services.optimizer) == known


async def test_plan_tells_roads_and_cache(api: Api, ada: Viewer) -> None:
    """Statements and rows are told of each field that was rendered; what is asked for twice is kept."""
    document = "{ viewer { id } posts { nodes { id } } }"
    cold, again, warm = [await road(api, document, ada) for _ in range(3)]
    assert cold == again == [{"field": "posts", "road": "RENDERED", "statements": 1, "rows": 1, "cache": "MISS"}]
    assert warm == [{"field": "posts", "road": "RENDERED", "statements": 0, "rows": 0, "cache": "HIT"}]
    assert (await road(api, ask_loaders("{ posts { nodes { id } } }"), ada))[0]["road"] == "LOADERS"
    async with api.context(ada) as context:
        result = await api.schema.execute(document, context_value=context)
    assert "plan" not in (result.extensions or {})


async def test_ledgers_are_never_kept(api: Api, ada: Viewer) -> None:
    """A worker writes them while no commit's tags tell of it."""
    document = "{ posts { nodes { targets { id attempts { totalCount } } } } }"
    assert [step["cache"] for step in await road(api, document, ada)] == ["NONE"]
    found = (await api.data(document, ada))["posts"]["nodes"][0]["targets"][0]
    assert found["attempts"]["totalCount"] == 0


async def test_kept_pages_are_not_anothers(api: Api, ada: Viewer) -> None:
    """The same document gives each viewer their own, also an operator who names somebody."""
    ben, root = await api.add_person("Ben"), await api.add_person("Root", role=Role.ADMIN)
    document = "query ($id: ID) { posts(filter: {userId: $id}) { nodes { caption author { id } } } }"
    assert len((await api.data(document, ada))["posts"]["nodes"]) == 3
    assert (await api.data(document, ben))["posts"]["nodes"] == []
    assert len((await api.data(document, root, id=user_id(ada)))["posts"]["nodes"]) == 3
    assert await api.codes(document, ben, id=user_id(ada)) == ["FORBIDDEN"]


async def test_anothers_objects_are_hidden_wherever_a_row_leads(api: Api, ada: Viewer) -> None:
    """Even where the tables themselves were made to lead to somebody else."""
    ben = await api.add_person("Ben")
    theirs = account_id(await api.add_account(ben))
    async with api.services.database.connect() as c:
        await c.exec_driver_sql("UPDATE post_targets SET account_id = $1", (theirs.removeprefix("acct_"),))
    answer = await api.run("{ posts { nodes { targets { account { id handle } } } } }", ada)
    assert theirs not in orjson.dumps(answer).decode()
    assert (await api.data("query ($i: ID!) { account(id: $i) { id } }", ada, i=theirs)) == {"account": None}


async def test_breakers_out_of_reach_leave_the_rest(api: Api, ada: Viewer) -> None:
    """Without Redis the page is whole, whatever the breakers say."""
    await api.gate.close()
    answer = await api.run("{ posts { nodes { targets { account { handle circuitBreaker { name } } } } } }", ada)
    assert len(answer["data"]["posts"]["nodes"]) == 3


async def test_holes_are_told_from_what_others_show_under_their_names(api: Api, ada: Viewer) -> None:
    """Objects of two types may show different things under one name."""
    document = """query ($ids: [ID!]!) { nodes(ids: $ids) {
      ... on Account { a: circuitBreaker { x: name } b: rateLimit { limit } }
      ... on PostTarget { a: waitingFor { x: message } c: account { a: circuitBreaker { name } } }
    } }"""
    async with api.services.database.connect() as c:
        await c.exec_driver_sql("UPDATE post_targets SET waiting_code = 'MISSED', waiting_message = 'Tea'")
    found = await api.data("{ posts(first: 1) { nodes { targets { id account { id } } } } }", ada)
    [target] = found["posts"]["nodes"][0]["targets"]
    ids = [target["id"], target["account"]["id"]]
    answer = await api.data(document, ada, ids=ids)
    assert answer == without_more(await api.data(ask_loaders(document), ada, ids=ids))
    assert answer["nodes"][0] == {"a": {"x": "Tea"}, "c": {"a": {"name": "facebook-api"}}}
    assert answer["nodes"][1]["a"] == {"x": "facebook-api"}
    assert {step["road"] for step in await road(api, document, ada, ids=ids)} == {"RENDERED"}


async def test_holes_are_told_from_texts_that_spell_them(api: Api, ada: Viewer) -> None:
    """A caption may hold the very signs between which a hole stands."""
    forged = f"{HOLE_EDGE}0{HOLE_COMMA}facebook{HOLE_EDGE} {HOLE_EDGE}9{HOLE_EDGE}"
    async with api.services.database.connect() as c:
        await c.exec_driver_sql("UPDATE posts SET caption = $1", (forged,))
    document = "{ posts { nodes { caption targets { account { circuitBreaker { name } rateLimit { limit } } } } } }"
    answer = await api.data(document, ada)
    assert answer == without_more(await api.data(ask_loaders(document), ada))
    assert {post["caption"] for post in answer["posts"]["nodes"]} == {forged}


def chain(length: int, spreads: int, inside: str = "{}") -> str:
    """Fragments that each spread the next so many times."""
    links = " ".join(
        f"fragment F{number} on Post {{ {inside.replace('{}', f'...F{number + 1} ' * spreads)} }}"
        for number in range(length)
    )
    return f"{{ posts {{ nodes {{ ...F0 }} }} }} {links} fragment F{length} on Post {{ id }}"


async def test_fragments_are_read_once_however_often_they_are_spread(api: Api, ada: Viewer) -> None:
    """A chain that spells out 2¹⁵⁰ fields would never end otherwise."""
    for document in (chain(150, spreads=2), chain(195, spreads=1)):
        assert [step["road"] for step in await road(api, document, ada)] == ["RENDERED"]
        assert len((await api.data(document, ada))["posts"]["nodes"]) == 3


async def test_bombs_are_refused_before_they_are_read(api: Api, ada: Viewer) -> None:
    """A long chain passes the limits; one that spells out too much does not."""
    documents = DocumentCache(limits=DocumentLimits())
    api.schema = build_schema(extensions=[ErrorCodes, lambda: Limits(documents=documents)])
    assert await api.codes(chain(195, spreads=1), ada) == []
    deep = "targets { account { posts { nodes { {} } } } }"
    for bomb in (chain(200, spreads=2), chain(60, 2, deep), chain(2_000, spreads=2)):
        assert await api.codes(bomb, ada) == ["QUERY_TOO_COMPLEX"]


async def test_outlines_are_read_once_per_document(api: Api, ada: Viewer) -> None:
    """And again for each choice of @skip, but for no other variable."""
    documents = DocumentCache(limits=DocumentLimits())
    api.schema = build_schema(extensions=[ErrorCodes, lambda: Limits(documents=documents)])
    document = "query ($n: Int, $no: Boolean!) { posts(first: $n) { nodes { id caption @skip(if: $no) } } }"
    seen = [await api.data(document, ada, n=n, no=no) for n in (1, 2) for no in (True, False)]
    assert [(len(one["posts"]["nodes"]), len(one["posts"]["nodes"][0])) for one in seen] == [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
    ]
    prepared = documents.find(document)
    assert prepared is not None
    assert len(prepared.outlines) == 2


def test_documents_of_the_tests_are_graphql() -> None:
    """The node that makes a question too long for PostgreSQL is really asked of every root field."""
    [operation] = parse(ask_loaders("{ a: posts { nodes { id } } accounts { totalCount } }")).definitions
    for field in operation.selection_set.selections:  # type: ignore[attr-defined] # it is an operation
        assert isinstance(field, FieldNode)
        assert field.selection_set is not None
        last = field.selection_set.selections[-1]
        assert isinstance(last, FieldNode)
        assert last.name.value == TYPENAME


async def test_whom_a_field_refuses_gets_no_short_road(api: Api, ada: Viewer) -> None:
    """Whatever the road itself would answer: it stands before the field's own check."""
    root, asked_by = await api.add_person("Root", role=Role.ADMIN), list[Viewer | None]()
    schema = build_schema(extensions=[ErrorCodes])
    assert schema._schema.query_type is not None
    groups = schema._schema.query_type.fields["accountGroups"]  # operators only
    groups.resolve = ShortRoad(lambda context, *_: asked_by.append(context.viewer), groups).resolve
    own = replace(api, schema=schema)

    assert await own.codes("{ accountGroups { platform } }", ada) == ["FORBIDDEN"]
    assert await own.codes("{ accountGroups { platform } }", None) == ["UNAUTHENTICATED"]
    assert asked_by == []
    assert await own.codes("{ accountGroups { platform } }", root) == []
    assert asked_by == [root]


def test_short_road_past_an_extension_is_refused_at_the_start() -> None:
    """What it does not know could be a check."""

    class Unknown(FieldExtension):
        def resolve(self, next_: Any, source: Any, info: Any, **given: Any) -> Any:
            return next_(source, info, **given)

    @strawberry.type
    class Query:
        @strawberry.field(extensions=[Unknown()])
        def number(self) -> int:
            return 1

    query = strawberry.Schema(Query)._schema.query_type
    assert query is not None
    with pytest.raises(TypeError, match="extension"):
        ShortRoad(lambda *_: None, query.fields["number"])
