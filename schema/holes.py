"""Fills the holes of a rendered page: what Redis or a count over time knows, asked for once for the whole page.

The page is decoded, the values are put in their places, and it is encoded again: a page of fifty posts takes twice as
long as without holes, where walking down to them as GraphQL does would take twenty times as long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from graphql import GraphQLObjectType, GraphQLSchema
from strawberry.schema.schema_converter import GraphQLCoreConverter

from resolvers.loaders import Loaders
from services.domain.accounts import Platform
from services.domain.moments import write_moment
from services.domain.selection import TYPENAME, Hole, Selection

LOADED: Mapping[str, Callable[[Loaders, Sequence[Any]], Awaitable[object]]] = {
    "rateLimit": lambda loaders, by: loaders.rate_limits.load((UUID(by[0]), Platform(by[1]))),
    "circuitBreaker": lambda loaders, by: loaders.breakers.load(Platform(by[0]).breaker),
}
"""Who fills which hole, by what stands in it."""


async def fill(json: bytes, holes: Sequence[Hole], loaders: Loaders, schema: GraphQLSchema) -> bytes:
    """The same page without holes. Raises what the loaders raise."""
    page = orjson.loads(json)
    places = [(hole, owner) for hole in holes for owner in _owners(page, hole.path)]
    values = await _load({(hole.field, *owner[hole.path[-1]]) for hole, owner in places}, loaders)
    for hole, owner in places:
        key = hole.path[-1]
        owner[key] = _show(values[hole.field, *owner[key]], hole.below, schema)
    return orjson.dumps(page)


async def _load(asked: set[tuple[str, ...]], loaders: Loaders) -> dict[tuple[str, ...], object]:
    """Each value once, and all that are of one kind at the same moment."""
    pending = [LOADED[field](loaders, by) for field, *by in asked]
    return dict(zip(asked, await asyncio.gather(*pending), strict=True))


def _owners(item: Any, path: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The objects that have a hole at the end of a path.

    Where an interface stands for many types, another may show something else under the same name, but never a list:
    GraphQL holds all that may stand in one place to one shape.
    """
    if isinstance(item, list):
        for member in item:
            yield from _owners(member, path)
    elif item is not None and len(path) > 1:
        yield from _owners(item.get(path[0]), path[1:])
    elif item is not None and isinstance(item.get(path[0]), list):
        yield item


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
