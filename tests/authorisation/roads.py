"""All ways through the schema from a root field to a leaf, and what an answer shows at the end of each.

No type comes twice on one way, but for interfaces and unions, which are gone through to each of their types.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)

from schema.build import build_schema

SCHEMA = build_schema()._schema
FEW = "(first: 3)"

Road = tuple[str, ...]
"""The fields on the way, as `("Query.posts", "PostConnection.nodes", "Post.caption")`."""


@dataclass
class Stop:
    """A field on the way: a leaf where nothing is below it."""

    place: str
    arguments: str = ""
    on: dict[str, "Stop"] = field(default_factory=dict)
    """By response name, what is selected of an object; of an abstract type, of each that it may be."""
    kinds: dict[str, dict[str, "Stop"]] = field(default_factory=dict)

    def text(self) -> str:
        """The selection set below it."""
        own = [f"{name}{stop.arguments}{stop.text()}" for name, stop in self.on.items()]
        own += [f"... on {kind}{Stop('', on=stops).text()}" for kind, stops in self.kinds.items()]
        return f" {{ {' '.join(own)} }}" if own else ""

    def roads(self, way: Road = ()) -> Iterator[Road]:
        """Every way from here to a leaf."""
        way = (*way, self.place)
        below = [*self.on.values(), *(stop for stops in self.kinds.values() for stop in stops.values())]
        if not below:
            yield way
        for stop in below:
            yield from stop.roads(way)


def plan(place: str, only: str | None = None) -> Stop:
    """All that can be reached through a root field; `only` chooses one type where it may be several."""
    root, _, name = place.partition("(")[0].partition(".")
    kind = SCHEMA.type_map[root]
    assert isinstance(kind, GraphQLObjectType)
    stop = _stop(place, get_named_type(kind.fields[name].type), frozenset())
    if only is not None:
        stop.kinds = {only: stop.kinds[only]}
    return stop


def _stop(place: str, kind: GraphQLNamedType, seen: frozenset[str]) -> Stop:
    if is_leaf_type(kind):
        return Stop(place)
    if isinstance(kind, (GraphQLInterfaceType, GraphQLUnionType)):
        kinds = {one.name: _fields(one, seen | {one.name}) for one in SCHEMA.get_possible_types(kind)}
        return Stop(place, on=_fields(kind, seen) if isinstance(kind, GraphQLInterfaceType) else {}, kinds=kinds)
    assert isinstance(kind, GraphQLObjectType)
    return Stop(place, on=_fields(kind, seen | {kind.name}))


def _fields(kind: GraphQLObjectType | GraphQLInterfaceType, seen: frozenset[str]) -> dict[str, Stop]:
    stops = {}
    for name, made in kind.fields.items():
        below = get_named_type(made.type)
        if below.name in seen:
            continue
        stop = _stop(f"{kind.name}.{name}", below, seen)
        stop.arguments = _arguments(f"{kind.name}.{name}", made)
        if is_leaf_type(below) or stop.on or stop.kinds:
            stops[name] = stop
    return stops


def _arguments(place: str, made: GraphQLField) -> str:
    """Lists are short; below the roots nothing else needs an argument, and where it does, somebody has to say which."""
    needed = [name for name, one in made.args.items() if isinstance(one.type, GraphQLNonNull)]
    needed = [name for name in needed if str(made.args[name].default_value) == "Undefined"]
    assert not needed, f"{place} needs {needed}: say here what to give"
    return FEW if "first" in made.args else ""


Owner = Callable[[dict[str, Any]], str | None]
"""Whose an object of an answer is; None where it does not say."""


def read(stop: Stop, value: Any, owner_of: Owner, *, whose: str = "", way: Road = ()) -> Iterator[tuple[Road, str]]:
    """Every leaf that an answer shows, with whose it is: of the nearest object around it that says so, else ''."""
    if value is None:
        return
    if isinstance(value, list) and (stop.on or stop.kinds):
        for item in value:
            yield from read(stop, item, owner_of, whose=whose, way=way)
        return
    way = (*way, stop.place)
    if not stop.on and not stop.kinds:
        yield way, whose
        return
    said = owner_of(value)
    for stops in (stop.on, *stop.kinds.values()):
        for name, below in stops.items():
            yield from read(below, value.get(name), owner_of, whose=whose if said is None else said, way=way)
