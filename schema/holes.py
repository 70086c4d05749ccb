"""Fills the holes of a rendered page: what Redis or a count over time knows, asked for once for the whole page.

The page is cut at its holes and put together again: it is never decoded, and what a hundred places have in common is
asked for and written once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from graphql import GraphQLObjectType, GraphQLSchema
from strawberry.schema.schema_converter import GraphQLCoreConverter

from resolvers.loaders import Loaders
from services.domain.accounts import Platform
from services.domain.moments import write_moment
from services.domain.selection import HOLE_COMMA, HOLE_EDGE, TYPENAME, Hole, Selection

LOADED: Mapping[str, Callable[[Loaders, Sequence[Any]], Awaitable[object]]] = {
    "rateLimit": lambda loaders, by: loaders.rate_limits.load((UUID(by[0]), Platform(by[1]))),
    "circuitBreaker": lambda loaders, by: loaders.breakers.load(Platform(by[0]).breaker),
}
"""Who fills which hole, by what stands in it."""


async def fill(json: bytes, holes: Sequence[Hole], loaders: Loaders, schema: GraphQLSchema) -> bytes:
    """The same page without holes. Raises what the loaders raise."""
    pieces = json.split(HOLE_EDGE.encode())
    places = {place: _read(place, holes) for place in pieces[1::2]}
    asked = {(hole.field, *by) for hole, by in places.values()}
    values = dict(zip(asked, await asyncio.gather(*(LOADED[field](loaders, by) for field, *by in asked)), strict=True))
    shown = {
        place: orjson.dumps(_show(values[hole.field, *by], hole.below, schema)) for place, (hole, by) in places.items()
    }
    pieces[1::2] = [shown[place] for place in pieces[1::2]]
    return b"".join(pieces)


def _read(place: bytes, holes: Sequence[Hole]) -> tuple[Hole, list[str]]:
    """Which hole it is, and by what its filling is found."""
    number, *by = place.decode().split(HOLE_COMMA)
    return holes[int(number)], by


def _show(value: Any, selection: Selection | None, schema: GraphQLSchema) -> Any:
    """A value of the domain as JSON says it, with the fields that were selected."""
    if isinstance(value, (list, tuple)):
        return [_show(item, selection, schema) for item in value]
    if isinstance(value, datetime):
        return write_moment(value)
    if value is None or selection is None:
        return value
    of, fields = selection.only()
    return {
        field.key: of
        if field.name == TYPENAME
        else _show(getattr(value, attribute_of(schema, of, field.name)), field.below, schema)
        for field in fields
    }


def attribute_of(schema: GraphQLSchema, of: str, name: str) -> str:
    """Which attribute of the domain's object a plain field is read off."""
    shown = schema.type_map[of]
    assert isinstance(shown, GraphQLObjectType)  # noqa: S101 — for the type checker: it has fields
    attribute: str = shown.fields[name].extensions[GraphQLCoreConverter.DEFINITION_BACKREF].python_name
    return attribute
