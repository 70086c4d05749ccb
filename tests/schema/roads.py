"""Seeded data in which every odd value occurs, and documents over it that ask for what is really there."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    get_named_type,
    is_leaf_type,
    parse,
    print_ast,
    visit,
)
from sqlalchemy import insert

from services.domain.errors import ErrorCode
from services.domain.ids import Kind, encode_id, new_id
from services.domain.pages import Place
from services.domain.viewers import Role, Viewer
from services.models import ACCOUNTS, ATTEMPTS, MEDIA, POSTS, TARGETS
from tests.graphql_api import Api
from tests.schema.naive import Naive

LONG_NAME = "x" * 64
"""Longer than the short road takes: whoever asks for this is answered by the loaders."""

PAGED = ("posts", "accounts", "attempts")
MOMENTS = [
    datetime(2027, 3, 1, 12, tzinfo=UTC),
    datetime(2027, 3, 1, 12, 0, 0, 1, tzinfo=UTC),
    datetime(2027, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC),
    datetime(2, 1, 1, tzinfo=UTC),
    datetime(9998, 12, 31, 23, 59, 59, 100_000, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]
TEXTS = [
    "Bread",
    "",
    'a "quoted" \\ back\\nslash',
    "line\nbreak\ttab \x01 control \x7f",
    "snow ☃ 🎉 e\u0301 \u2028 \ufeff",
    "100% of_it /slash",
    "</script> {\"json\": [1]} 'single'",
]
OPTIONS: dict[str, list[dict[str, Any] | None]] = {
    "INSTAGRAM": [{"kind": "REEL", "share_to_feed": False}, {"kind": "FEED", "share_to_feed": True}, None],
    "FACEBOOK": [{"kind": "POST"}, None],
    "YOUTUBE": [
        {
            "title": 'A "title" ☃',
            "privacy": "UNLISTED",
            "tags": ["a", "ü", '"'],
            "category_id": "22",
            "made_for_kids": True,
        },
        {"title": "", "privacy": "PUBLIC", "tags": [], "category_id": "1", "made_for_kids": False},
        None,
    ],
}
TARGET_STATES = ("DRAFT", "SCHEDULED", "PUBLISHING", "RETRYING", "BLOCKED", "UNCONFIRMED", "PUBLISHED", "FAILED")


class World:
    """Who may ask, and what there is to be asked for. No dataclass, whose fields Hypothesis would print."""

    naive: Naive

    def __init__(
        self,
        viewers: tuple[Viewer, ...],
        rows: dict[Any, list[dict[str, Any]]],
        ids: tuple[str, ...],
        cursors: tuple[str, ...],
    ) -> None:
        """`viewers`: Ada, who has much; Ben, who has little; Eve, who has nothing; Root, an operator with a post."""
        self.viewers = viewers
        self.rows = rows
        self.ids = ids
        self.cursors = cursors

    def __repr__(self) -> str:
        return "World(…)"


async def seed(api: Api, random: Random) -> World:
    """Fill the database."""
    ada, ben, eve = [await api.add_person(name) for name in ('Ada ☃ "A"', "Ben", "Eve")]
    root = await api.add_person("Root", role=Role.ADMIN)
    rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in (ACCOUNTS, POSTS, TARGETS, MEDIA, ATTEMPTS)}
    for owner, size in ((ada, 14), (ben, 3), (root, 1)):
        _write(owner, size, rows, random)
    async with api.services.database.begin() as c:
        for table, written in rows.items():
            await c.execute(insert(table), written)
    kinds = {ACCOUNTS: Kind.ACCOUNT, POSTS: Kind.POST, TARGETS: Kind.TARGET, MEDIA: Kind.MEDIA, ATTEMPTS: Kind.ATTEMPT}
    ids = [encode_id(kinds[table], row["id"]) for table, written in rows.items() for row in written]
    ids += [encode_id(Kind.USER, viewer.user.id) for viewer in (ada, ben, eve, root)]
    ids += ["nonsense", encode_id(Kind.POST, new_id()), encode_id(Kind.UPLOAD, new_id())]
    return World((ada, ben, eve, root), rows, tuple(ids), tuple(_cursors(rows)))


def _write(owner: Viewer, size: int, rows: dict[Any, list[dict[str, Any]]], random: Random) -> None:
    pick = random.choice
    accounts = [_account(owner, platform, random) for platform in ("INSTAGRAM", "FACEBOOK", "YOUTUBE", "FACEBOOK")]
    rows[ACCOUNTS] += accounts
    for _ in range(size):
        post = _post(owner, random)
        rows[POSTS].append(post)
        for position, account in enumerate(random.sample(accounts, pick([0, 1, 1, 2, 3]))):
            target = _target(post, account, position, random)
            rows[TARGETS].append(target)
            rows[ATTEMPTS] += [_attempt(target["id"], number, random) for number in range(1, pick([1, 1, 2, 6]))]
        rows[MEDIA] += [_medium(post["id"], position, random) for position in range(pick([0, 0, 1, 3]))]


def _account(owner: Viewer, platform: str, random: Random) -> dict[str, Any]:
    pick = random.choice
    key = new_id()
    return {
        "id": key,
        "user_id": owner.user.id,
        "platform": platform,
        "external_id": key.hex,
        "handle": pick(TEXTS),
        "display_name": pick(TEXTS),
        "avatar_url": pick([None, "https://example.test/ü?a=1&b=2"]),
        "status": pick(["CONNECTED", "EXPIRED", "DISCONNECTED"]),
        "expires_at": pick([None, *MOMENTS]),
        "expiry_warning": pick([None, 1, 7, 14]),
    }


def _post(owner: Viewer, random: Random) -> dict[str, Any]:
    pick = random.choice
    return {
        "id": UUID(int=random.getrandbits(128)),
        "user_id": owner.user.id,
        "caption": pick(TEXTS),
        "link": pick([None, "https://example.test/"]),
        "status": pick(["DRAFT", "SCHEDULED", "PUBLISHED", "PARTIALLY_PUBLISHED"]),
        "scheduled_at": pick([None, *MOMENTS]),
        "published_at": pick([None, *MOMENTS]),
        "created_at": pick(MOMENTS),
        "updated_at": pick(MOMENTS),
        "version": pick([1, 2**31 - 1]),
    }


def _target(post: dict[str, Any], account: dict[str, Any], position: int, random: Random) -> dict[str, Any]:
    pick = random.choice
    waits, failed = pick([True, False]), pick([True, False])
    return {
        "id": new_id(),
        "post_id": post["id"],
        "account_id": account["id"],
        "user_id": post["user_id"],
        "platform": account["platform"],
        "position": position,
        "calendar_at": post["scheduled_at"] or datetime(9999, 12, 31, tzinfo=UTC),
        "status": pick(TARGET_STATES),
        "caption": pick([None, *TEXTS]),
        "options": pick(OPTIONS[account["platform"]]),
        "next_attempt_at": pick([None, *MOMENTS]),
        "attempt_count": pick([0, 3]),
        "waiting_code": ErrorCode.RATE_LIMITED if waits else None,
        "waiting_message": pick([None] * 9 + TEXTS),
        "waiting_until": pick([None, *MOMENTS]),
        "error_code": ErrorCode.CIRCUIT_OPEN if failed else None,
        "error_message": pick([None] * 9 + TEXTS),
        "error_retryable": pick([None, True, False]),
        "platform_post_id": pick([None, "17_☃"]),
        "permalink": pick([None, "https://example.test/p"]),
        "published_at": pick([None, *MOMENTS]),
    }


def _medium(post_id: UUID, position: int, random: Random) -> dict[str, Any]:
    pick = random.choice
    return {
        "id": new_id(),
        "post_id": post_id,
        "position": position,
        "kind": pick(["IMAGE", "VIDEO"]),
        "url": "https://example.test/ü.jpg",
        "alt_text": pick([None, *TEXTS]),
        "width": pick([None, 1080]),
        "height": pick([None, 1]),
        "duration_seconds": pick([None, 0.0, 12.0, 0.1, 1 / 3, 86_400.25, 1e-7, 1e21]),
    }


def _attempt(target_id: UUID, number: int, random: Random) -> dict[str, Any]:
    pick = random.choice
    began = pick(MOMENTS)
    return {
        "id": new_id(),
        "target_id": target_id,
        "number": number,
        "step": pick(TEXTS),
        "started_at": began,
        "ended_at": began + timedelta(microseconds=pick([0, 1])),
        "outcome": pick(["SUCCEEDED", "FAILED", "UNKNOWN"]),
        "code": pick([None, ErrorCode.UNAVAILABLE]),
        "message": pick([None, *TEXTS]),
    }


def _cursors(rows: dict[Any, list[dict[str, Any]]]) -> Iterator[str]:
    """Places of rows in all orders, and one where nothing is."""
    for post in rows[POSTS]:
        yield Place(post["id"], post["scheduled_at"] or datetime(9999, 12, 31, tzinfo=UTC)).to_cursor()
        yield Place(post["id"], post["created_at"]).to_cursor()
    for row in (*rows[ACCOUNTS], *rows[ATTEMPTS]):
        yield Place(row["id"]).to_cursor()
    yield Place(new_id(), MOMENTS[1]).to_cursor()


LISTS = ("posts", "accounts")
BY_ID = ("post", "account", "node", "nodes")
ORDERS = ("SCHEDULED_AT_ASC", "SCHEDULED_AT_DESC", "CREATED_AT_ASC", "CREATED_AT_DESC")
FILTERS = (
    "",
    "",
    ', filter: {search: "?"}',
    ", filter: {statuses: [DRAFT, PUBLISHED], platforms: [FACEBOOK]}",
    ', filter: {scheduledFrom: "?", scheduledTo: "?"}',
    ', filter: {accountIds: ["?", "?"], platforms: []}',
)


def write_deep(schema: GraphQLSchema, random: Random) -> str:
    """A document that goes deep: most fields of every object on the way, and some of them twice."""
    assert schema.query_type is not None
    roots = random.choices([*LISTS, *LISTS, *BY_ID], k=random.choice([1, 1, 2]))
    fields = [
        _write_field(schema, schema.query_type, name, f"r{number}", random=random, depth=7)
        for number, name in enumerate(roots)
    ]
    return "{ " + " ".join(fields) + " }"


def write_set(schema: GraphQLSchema, of: Any, random: Random, depth: int) -> str:
    """What is selected of an object, or of all that an interface or a union may stand for."""
    if isinstance(of, (GraphQLInterfaceType, GraphQLUnionType)):
        members = [
            f"... on {type_.name} {write_set(schema, type_, random, depth)}" for type_ in schema.get_possible_types(of)
        ]
        return f"{{ __typename {' '.join(members)} }}"
    names = [name for name, field in of.fields.items() if depth > 0 or is_leaf_type(get_named_type(field.type))]
    chosen = random.choices(names, k=random.randint(1, 5)) if names else []
    # Aliases of their own keep fields of different members from being one.
    fields = [
        _write_field(schema, of, name, f"{of.name}{number}", random=random, depth=depth)
        for number, name in enumerate(chosen)
    ]
    return f"{{ __typename {' '.join(fields)} }}"


def _write_field(
    schema: GraphQLSchema, of: GraphQLObjectType, name: str, alias: str, *, random: Random, depth: int
) -> str:
    field = of.fields[name]
    arguments = ""
    if name in BY_ID and of.name == "Query":
        arguments = '(ids: ["?", "?", "?", "?"])' if name == "nodes" else '(id: "?")'
    elif "orderBy" in field.args:
        arguments = f"(orderBy: {random.choice(ORDERS)}{random.choice(FILTERS)})"
    below = get_named_type(field.type)
    return f"{alias}: {name}{arguments}" + (
        "" if is_leaf_type(below) else " " + write_set(schema, below, random, depth - 1)
    )


def make_real(document: str, world: World, random: Random) -> str:
    """A generated document with ids, cursors, lengths and moments that mean something."""
    return print_ast(visit(parse(document), _Real(world, random)))


class _Real(Visitor):
    def __init__(self, world: World, random: Random) -> None:
        super().__init__()
        self._world = world
        self._random = random

    def enter_field(self, node: FieldNode, *_: Any) -> FieldNode:
        """Pages of a few, in either direction, mostly between places that exist."""
        if node.name.value == "asOf":  # the moment of reading, which is another on each road
            return FieldNode(
                alias=node.alias or NameNode(value="asOf"),
                name=NameNode(value="__typename"),
                arguments=(),
                directives=(),
            )
        if node.name.value not in PAGED:
            return node
        kept = [argument for argument in node.arguments or () if argument.name.value in ("filter", "orderBy")]
        size = IntValueNode(value=str(self._random.choice([0, 1, 2, 3, 5, 50])))
        chosen = self._random.choice(["first", "last", None])
        made = [] if chosen is None else [ArgumentNode(name=NameNode(value=chosen), value=size)]
        for name in ("after", "before"):
            if self._random.random() < 0.3:
                cursor = StringValueNode(value=self._random.choice(self._world.cursors))
                made.append(ArgumentNode(name=NameNode(value=name), value=cursor))
        return FieldNode(
            alias=node.alias,
            name=node.name,
            arguments=(*kept, *made),
            directives=node.directives,
            selection_set=node.selection_set,
        )

    def enter_string_value(self, node: StringValueNode, _key: Any, parent: Any, _path: Any, ancestors: Any) -> Any:
        """Ids where ids stand, moments of the data where moments do, and words of the captions in searches."""
        name = _name_of(parent, ancestors)
        if name in ("id", "ids", "userId", "accountIds"):
            return StringValueNode(value=self._random.choice(self._world.ids))
        if name in ("scheduledFrom", "scheduledTo"):
            return StringValueNode(value=self._random.choice(MOMENTS).isoformat())
        if name == "search":
            return StringValueNode(value=self._random.choice(["read", "%", "_", "/", "☃", ""]))
        return node


def _name_of(parent: Any, ancestors: Any) -> str | None:
    """The argument or input field that a value stands in."""
    for owner in (parent, *reversed(ancestors)):
        if hasattr(owner, "name") and not isinstance(owner, (FieldNode, tuple, list)):
            return str(owner.name.value)
    return None


def ask_loaders(document: str) -> str:
    """The same document, asking every root field besides for a name that is too long for PostgreSQL."""
    more = FieldNode(alias=NameNode(value=LONG_NAME), name=NameNode(value="__typename"), arguments=(), directives=())

    class Lengthen(Visitor):
        def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> Any:
            fields = [_with_more(field, more) for field in node.selection_set.selections]
            return OperationDefinitionNode(
                operation=node.operation,
                name=node.name,
                variable_definitions=node.variable_definitions,
                directives=node.directives,
                selection_set=SelectionSetNode(selections=tuple(fields)),
            )

    return print_ast(visit(parse(document), Lengthen()))


def _with_more(field: Any, more: FieldNode) -> Any:
    if not isinstance(field, FieldNode) or field.selection_set is None:
        return field
    return FieldNode(
        alias=field.alias,
        name=field.name,
        arguments=field.arguments,
        directives=field.directives,
        selection_set=SelectionSetNode(selections=(*field.selection_set.selections, more)),
    )


def without_more(data: Any) -> Any:
    """An answer without that name."""
    if isinstance(data, list):
        return [without_more(item) for item in data]
    if isinstance(data, dict):
        return {key: without_more(value) for key, value in data.items() if key != LONG_NAME}
    return data
