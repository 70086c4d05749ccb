"""Other people's ids in every place of every input: as good as ids that nothing has, down to the last word."""

from collections.abc import Iterator
from typing import Any

from graphql import GraphQLInputObjectType, get_named_type
from sqlalchemy import insert

from services.domain.ids import Kind, encode_id, new_id
from services.domain.viewers import Viewer
from services.models import UPLOADS
from tests.authorisation.roads import SCHEMA
from tests.authorisation.rules import RULES
from tests.authorisation.world import World
from tests.graphql_api import account_id, in_hours
from tests.ownership import digest_all

PLACES = {
    "id": Kind.POST,
    "accountIds": Kind.ACCOUNT,
    "accountId": Kind.ACCOUNT,
    "mediaId": Kind.UPLOAD,
    "targetId": Kind.TARGET,
}
"""By name of an input field, what an id in it names; an account, where `disconnectAccount` is asked for."""


def id_paths(kind: GraphQLInputObjectType) -> Iterator[tuple[str, ...]]:
    """Every place of an input, however deep, where an id stands."""
    for name, made in kind.fields.items():
        below = get_named_type(made.type)
        if isinstance(below, GraphQLInputObjectType):
            yield from ((name, *path) for path in id_paths(below))
        elif below.name == "ID":
            yield (name,)


def inputs() -> Iterator[tuple[str, GraphQLInputObjectType]]:
    """The mutations of one's own things, with their inputs."""
    assert SCHEMA.mutation_type is not None
    for name, made in SCHEMA.mutation_type.fields.items():
        kind = get_named_type(made.args["input"].type) if "input" in made.args else None
        if RULES[f"Mutation.{name}"] == "change":
            assert isinstance(kind, GraphQLInputObjectType)
            yield name, kind


async def add_upload(world: World, viewer: Viewer) -> str:
    """A picture of somebody's."""
    key = new_id()
    row = {"kind": "IMAGE", "content_type": "image/jpeg", "path": f"{key}.jpg", "size_bytes": 1000, "width": 1080}
    async with world.database.begin() as c:
        await c.execute(insert(UPLOADS).values(row | {"id": key, "user_id": viewer.user.id, "height": 1080}))
    return encode_id(Kind.UPLOAD, key)


async def things_of(world: World, viewer: Viewer) -> dict[Kind, str]:
    """One of everything that is somebody's."""
    account = await world.api.add_account(viewer)
    post = await world.api.schedule(viewer, account)
    document = "query ($id: ID!) { post(id: $id) { targets { id } } }"
    target = (await world.api.data(document, viewer, id=post))["post"]["targets"][0]["id"]
    upload = await add_upload(world, viewer)
    return {Kind.ACCOUNT: account_id(account), Kind.POST: post, Kind.TARGET: target, Kind.UPLOAD: upload}


def write(kind: GraphQLInputObjectType, name: str, things: dict[Kind, str]) -> dict[str, Any]:
    """The input with an id in every place where one can stand."""
    known = {"caption": "Mine", "scheduledAt": in_hours(2)}
    given = {field: known[field] for field in known if field in kind.fields}
    for path in id_paths(kind):
        given.setdefault(path[0], None)
        put(given, path, things[kind_of(name, path)])
    return given


def kind_of(name: str, path: tuple[str, ...]) -> Kind:
    """What the id at a place names."""
    return Kind.ACCOUNT if (name, path) == ("disconnectAccount", ("id",)) else PLACES[path[-1]]


def put(given: dict[str, Any], path: tuple[str, ...], key: str) -> None:
    """Write an id to its place; lists hold one."""
    match path:
        case ("media", "mediaId"):
            given["media"] = [{"kind": "IMAGE", "mediaId": key}]
        case (outer, inner):
            given[outer] = [{inner: key}]
        case ("accountIds",):
            given["accountIds"] = [key]
        case (only,):
            given[only] = key


async def ask(world: World, asker: str, name: str, given: dict[str, Any]) -> tuple[Any, bool]:
    """What the mutation tells, and whether anything is another afterwards."""
    before = await digest_all(world.database)
    kind = f"{name[0].upper()}{name[1:]}Input!"
    document = f"mutation ($i: {kind}) {{ {name}(input: $i) {{ userErrors {{ code message field }} }} }}"
    answer = (await world.ask(asker, document, i=given)).json()
    assert "errors" not in answer, answer
    return answer["data"][name]["userErrors"], await digest_all(world.database) != before


async def refusal(
    world: World, asker: str, name: str, given: dict[str, Any], *, path: tuple[str, ...], key: str
) -> Any:
    """Why the input is refused with this id at that place; nothing changes. The id itself is left out of the words."""
    given = dict(given)
    put(given, path, key)
    errors, has_changed = await ask(world, asker, name, given)
    assert errors, (asker, name, path)
    assert not has_changed, (asker, name, path)
    return [error | {"message": error["message"].replace(key, "…")} for error in errors]


async def test_ids_of_others_are_as_good_as_none(world: World) -> None:
    """By a person and by an operator; with their own ids in the same places the same comes about."""
    hers = await things_of(world, world.ada)
    nobodys = {kind: encode_id(kind, new_id()) for kind in hers}
    tried = 0
    for asker in ("another person", "admin"):
        for name, kind in inputs():
            own = write(kind, name, await things_of(world, world.viewer_of(asker)))
            for path in id_paths(kind):
                of = kind_of(name, path)
                told = [await refusal(world, asker, name, own, path=path, key=others[of]) for others in (hers, nobodys)]
                assert told[0] == told[1], (asker, name, path)
                tried += 1
            if name not in ("retryPost", "confirmPublished"):  # nothing of theirs has failed or is in doubt
                assert await ask(world, asker, name, own) == ([], True), (asker, name)
    assert tried >= 30
