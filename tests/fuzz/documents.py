"""Documents made up from the schema, with ids, cursors, moments and names of things that are really there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from graphql import (
    FieldNode,
    GraphQLObjectType,
    IntValueNode,
    NameNode,
    ObjectFieldNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    parse,
    parse_value,
    print_ast,
    visit,
)
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from schema.build import build_schema, print_schema_text
from tests.graphql_api import in_hours
from tests.schema.roads import World, make_real

SDL = print_schema_text()
SCHEMA = build_schema()._schema

TOLD = "told"
"""As what every generated mutation is asked for its user errors."""

_URLS = ("https://example.test/a.jpg", "https://example.test/b.mp4", "https://example.test/ü?a=1", "nonsense", "")
_SCALARS: dict[str, Any] = {
    "DateTime": st.sampled_from(
        [in_hours(1), in_hours(48), in_hours(-1), "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "soon"]
    ).map(nodes.String),
    "Url": st.sampled_from(_URLS).map(nodes.String),
    "JSON": st.just(nodes.String("{}")),
    "ID": st.just(nodes.String("?")),
}


@dataclass(frozen=True)
class Roots:
    """The fields of a root that one kind of viewer may use."""

    queries: tuple[str, ...]
    mutations: tuple[str, ...]


def _names(root: GraphQLObjectType | None, *, is_operator: bool) -> Iterator[str]:
    assert root is not None
    for name, field in root.fields.items():
        if is_operator or not (field.description or "").startswith("Operators only"):
            yield name


PERSONS = Roots(
    tuple(_names(SCHEMA.query_type, is_operator=False)), tuple(_names(SCHEMA.mutation_type, is_operator=False))
)
OPERATORS = Roots(
    tuple(_names(SCHEMA.query_type, is_operator=True)), tuple(_names(SCHEMA.mutation_type, is_operator=True))
)


def query_texts(roots: Roots) -> st.SearchStrategy[str]:
    """Queries; arguments are still made up."""
    return queries(SDL, custom_scalars=_SCALARS, fields=roots.queries)


def mutation_texts(roots: Roots) -> st.SearchStrategy[str]:
    """Mutations; ids are still made up."""
    return mutations(SDL, custom_scalars=_SCALARS, fields=roots.mutations)


def real_query(text: str, ids: "Ids", random: Random) -> str:
    """The query about what is there."""
    return make_real(text, ids.world, random)


def real_mutation(text: str, ids: "Ids", random: Random) -> str:
    """The mutation of what is there, asked for its user errors."""
    return print_ast(visit(parse(text), _Wishes(ids, random)))


class Ids:
    """What somebody may name: their own things, and other people's. No dataclass: Hypothesis would print it."""

    def __init__(self, *, world: World, own: Sequence[str], others: Sequence[str]) -> None:
        self.world, self.own, self.others = world, own, others

    def pick(self, random: Random, *kinds: str) -> str:
        """An id: mostly of the kind that belongs there, of the asker's own or of somebody else's."""
        roll = random.random()
        if roll > 0.9:
            return random.choice([*self.own, *self.others])
        whose = self.own if roll < 0.65 else self.others
        return random.choice([one for one in whose if one.startswith(kinds)])


_KINDS = {"accountIds": ("acct_",), "accountId": ("acct_",), "targetId": ("tgt_",), "userId": ("user_",)}


_PLAIN = {
    "accountIds": '["?"]',
    "caption": '"Plain"',
    "link": "null",
    "media": '[{kind: IMAGE, url: "https://example.test/a.jpg"}]',
    "variants": "[]",
    "expectedVersion": "null",
}
"""What nothing speaks against, wherever it stands."""


class _Wishes(Visitor):
    """Input that has a chance: every other document is plain, but for whose things it names."""

    def __init__(self, ids: Ids, random: Random) -> None:
        super().__init__()
        self._ids, self._random = ids, random
        self._root = ""
        self._is_plain = random.random() < 0.5

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> OperationDefinitionNode:
        """Two changes at most: what one asks for in vain must not hide what the others do."""
        fields = [_asked_why(field) for field in node.selection_set.selections[: self._random.choice([1, 1, 2])]]
        return OperationDefinitionNode(
            operation=node.operation,
            name=None,
            variable_definitions=(),
            directives=(),
            selection_set=SelectionSetNode(selections=tuple(fields)),
        )

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Remember which change the input is for."""
        if any(argument.name.value in ("input", "filter") for argument in node.arguments or ()):
            self._root = node.name.value

    def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> ObjectFieldNode | None:
        """Moments to come, versions that some post has, names that there are."""
        name = node.name.value
        if self._is_plain and name in _PLAIN:
            return ObjectFieldNode(name=node.name, value=parse_value(_PLAIN[name]))
        if self._is_plain and name == "scheduledAt":
            return ObjectFieldNode(name=node.name, value=StringValueNode(value=in_hours(self._random.uniform(1, 99))))
        if name == "expectedVersion" and isinstance(node.value, IntValueNode):
            return ObjectFieldNode(name=node.name, value=IntValueNode(value=str(self._random.choice([1, 2, 3]))))
        if name == "name":
            value = self._random.choice(["instagram-api", "facebook-api", "youtube-api", "nonsense"])
            return ObjectFieldNode(name=node.name, value=StringValueNode(value=value))
        if name == "mediaId" and self._random.random() < 0.8:
            return ObjectFieldNode(name=node.name, value=nodes.Null)
        return None

    def enter_string_value(self, node: StringValueNode, _key: Any, parent: Any, _path: Any, ancestors: Any) -> Any:
        """Ids where ids stand: in the input. A cursor below it may read the same by chance, and stays what it is."""
        name = next(
            (one.name.value for one in (parent, *reversed(ancestors)) if isinstance(one, ObjectFieldNode)), None
        )
        if node.value != "?" or name is None:
            return None
        of_posts = "acct_" if self._root == "disconnectAccount" else "post_"
        return StringValueNode(value=self._ids.pick(self._random, *_KINDS.get(name, (of_posts,))))


def _asked_why(field: Any) -> FieldNode:
    why = FieldNode(
        alias=NameNode(value=TOLD),
        name=NameNode(value="userErrors"),
        arguments=(),
        directives=(),
        selection_set=SelectionSetNode(
            selections=(FieldNode(alias=None, name=NameNode(value="code"), arguments=(), directives=()),)
        ),
    )
    return FieldNode(
        alias=field.alias,
        name=field.name,
        arguments=field.arguments,
        directives=field.directives,
        selection_set=SelectionSetNode(selections=(*field.selection_set.selections, why)),
    )
