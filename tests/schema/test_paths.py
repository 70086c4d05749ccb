"""Every way through the schema, four relations deep, costs the same statements for one row, ten or a thousand."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_leaf_type,
)
from sqlalchemy import insert

from schema.build import print_schema_text
from services.backends.statements import tally_statements
from services.domain.ids import Kind, encode_id, new_id
from services.domain.viewers import Role, Viewer
from services.models import ATTEMPTS, MEDIA, POSTS, TARGETS
from tests.graphql_api import Api, account_id
from tests.schema.roads import ask_loaders

DEPTH = 4
SIZES = (1, 10, 1_000)
START = datetime(2030, 1, 1, tzinfo=UTC)

SCHEMA = build_schema(print_schema_text())
QUERY = SCHEMA.type_map["Query"]
assert isinstance(QUERY, GraphQLObjectType)

UNASKED = ("rateLimit", "circuitBreaker", "rateLimits", "health")
"""Root fields with arguments of their own and nothing below them; and one that looks at the database as a whole."""
RENDERED = ("posts", "post", "accounts", "account", "node", "nodes")
"""Root fields that one statement answers where all that is selected lies in PostgreSQL."""
ELSEWHERE = {"rateLimit", "circuitBreaker"}
WRAPPINGS = ("nodes", "edges", "node", "pageInfo")

Path = tuple[str, ...]
"""Field after field; on an interface or a union a step names the type."""


def find_paths() -> Iterator[Path]:
    """Every chain of fields that give objects."""
    assert isinstance(QUERY, GraphQLObjectType)
    for name, field in QUERY.fields.items():
        if name not in UNASKED:
            yield from _find_below((name,), get_named_type(field.type))


def _find_below(path: Path, of: object) -> Iterator[Path]:
    if isinstance(of, (GraphQLInterfaceType, GraphQLUnionType)):
        for member in SCHEMA.get_possible_types(of):
            yield from _find_below((*path, f"... on {member.name}"), SCHEMA.type_map[member.name])
        return
    yield path
    if not isinstance(of, GraphQLObjectType) or len(relations(path)) == DEPTH or path[-2:] == ("edges", "node"):
        return  # an edge's node leads where the list's nodes do
    for name, field in of.fields.items():
        if not is_leaf_type(get_named_type(field.type)):
            yield from _find_below((*path, name), get_named_type(field.type))


def relations(path: Path) -> list[str]:
    """The fields that lead to other objects: what a connection or an edge wraps is no step further."""
    return [path[0], *(step for step in path[1:] if not step.startswith("...") and step not in WRAPPINGS)]


def write(path: Path, arguments: Mapping[str, str]) -> str:
    """The document that goes there and takes all leaves at its end."""
    return _write_from(path, QUERY, arguments, "(first: 100)")


def _write_from(path: Path, of: Any, arguments: Mapping[str, str], size: str) -> str:
    if not path:
        leaves = [name for name, field in of.fields.items() if is_leaf_type(get_named_type(field.type))]
        return f"{{ __typename {' '.join(leaves)} }}"
    step, *rest = path
    if step.startswith("..."):
        return f"{{ {step} {_write_from(tuple(rest), SCHEMA.type_map[step.split()[-1]], {}, '(first: 3)')} }}"
    field = of.fields[step]
    asked = size if "first" in field.args else arguments.get(step, "")
    below = _write_from(tuple(rest), SCHEMA.type_map[get_named_type(field.type).name], {}, "(first: 3)")
    return f"{{ {step}{asked} {below} }}"


async def fill(api: Api, owner: Viewer, size: int) -> dict[str, str]:
    """So many posts, each to two accounts, each with a medium and attempts. Gives the arguments of root fields."""
    accounts = [await api.add_account(owner) for _ in range(2)]
    rows: dict[Any, list[dict[str, Any]]] = {POSTS: [], TARGETS: [], MEDIA: [], ATTEMPTS: []}
    for number in range(size):
        key, at = new_id(), START + timedelta(hours=number)
        shared = {"user_id": owner.user.id, "status": "SCHEDULED"}
        rows[POSTS].append(shared | {"id": key, "caption": "Bread", "scheduled_at": at})
        medium = {"id": new_id(), "post_id": key, "position": 0, "kind": "IMAGE"}
        rows[MEDIA].append(medium | {"url": "https://example.test/a.jpg"})
        for position, account in enumerate(accounts):
            target = {"id": new_id(), "post_id": key, "account_id": account, "platform": "FACEBOOK"}
            rows[TARGETS].append(shared | target | {"position": position, "calendar_at": at})
            attempt = {"id": new_id(), "target_id": target["id"], "number": 1, "step": "publish"}
            rows[ATTEMPTS].append(attempt | {"started_at": at, "ended_at": at, "outcome": "SUCCEEDED"})
    async with api.services.database.begin() as c:
        for table, written in rows.items():
            await c.execute(insert(table), written)
    post, account = (f'"{text}"' for text in (encode_id(Kind.POST, key), account_id(accounts[0])))
    by_id = {"post": f"(id: {post})", "account": f"(id: {account})", "node": f"(id: {post})"}
    return by_id | {"nodes": f"(ids: [{post}, {post}])"}


async def count(api: Api, viewer: Viewer, document: str) -> int:
    """The statements of one run without anything cached."""
    await api.forget_cache()
    with tally_statements() as tally:
        await api.data(document, viewer)
    return tally.statements


@pytest.mark.parametrize("root", sorted({path[0] for path in find_paths()}))
async def test_statements_follow_relations_and_never_rows(api: Api, root: str) -> None:
    """By the loaders at most one more than there are relations on the way; rendered, one."""
    owners = [await api.add_person(f"Owner of {size}", role=Role.ADMIN) for size in SIZES]
    worlds = [(owner, await fill(api, owner, size)) for owner, size in zip(owners, SIZES, strict=True)]
    for path in (path for path in find_paths() if path[0] == root):
        documents = [(owner, write(path, arguments)) for owner, arguments in worlds]
        by_loaders = {await count(api, owner, ask_loaders(document)) for owner, document in documents}
        assert len(by_loaders) == 1, path
        assert by_loaders.pop() <= len(relations(path)) + 1, path
        if root in RENDERED and not ELSEWHERE & set(path):
            assert {await count(api, owner, document) for owner, document in documents} == {1}, path
