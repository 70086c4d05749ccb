"""The short road: a root field whose answer one statement gives as finished JSON.

Where the optimizer cannot plan what was selected, or whoever fills a hole is away, the field's own resolver answers
through the loaders, as if there were no other road; also where it is to refuse the arguments, or who asks.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from inspect import isawaitable
from typing import Any
from uuid import UUID

import orjson
from graphql import GraphQLField, GraphQLResolveInfo, GraphQLSchema
from strawberry.schema.schema_converter import GraphQLCoreConverter

from resolvers.context import Context
from resolvers.nodes import MOST_NODES
from resolvers.rendered import Rendered, render
from schema.access import Needs
from schema.arguments import Arguments
from schema.documents import PREPARED
from schema.extensions.plan import note_road
from schema.holes import fill
from schema.selection import Outline, Outlines, read_list, read_lists
from services.backends.statements import tally_statements
from services.domain.errors import CrierError, TimedOut
from services.domain.ids import decode_id
from services.domain.selection import ListAsked, Question, Root, Selection
from services.queries.mappings import TYPE_OF

Given = Mapping[str, Any]
"""A root field's arguments as its resolver gets them."""
Below = tuple[ListAsked, ...]
"""The arguments of all lists below a root field."""
Ask = Callable[[Context, Given, Selection, Below], Question | None]
"""Makes the question; raises CrierError, or gives None, where the resolver had better answer."""


class ShortRoad:
    """Answers by one statement where that is possible, and by the field's own resolver where it is not.

    It stands before whatever extends the resolver, of which it knows who may use the field. Raises TypeError for a
    field that is extended by anything else.
    """

    def __init__(self, ask: Ask, field: GraphQLField) -> None:
        assert field.resolve is not None  # noqa: S101 — for the type checker: Strawberry gives every field one
        self._ask = ask
        self._long_road = field.resolve
        self._arguments = Arguments(field)
        self._needs: list[Needs] = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].extensions
        if not all(isinstance(extension, Needs) for extension in self._needs):
            raise TypeError("A short road would go past an extension of its field.")

    async def resolve(self, source: Any, info: GraphQLResolveInfo[Context], **given: Any) -> Any:
        """Finished JSON, or what the resolver gives."""
        with tally_statements() as tally:
            rendered = await self._render(info, given)
        counted = {"statements": tally.statements, "rows": tally.rows}
        if rendered is None:
            note_road(info.context, info.path.key, "LOADERS", **counted)
            result = self._long_road(source, info, **given)
            return await result if isawaitable(result) else result
        note_road(info.context, info.path.key, "RENDERED", **counted, cache=rendered.cache.value)
        return None if rendered.json is None else orjson.Fragment(rendered.json)

    async def _render(self, info: GraphQLResolveInfo[Context], given: Mapping[str, Any]) -> Rendered | None:
        question = self._make_question(info, given)
        rendered = None if question is None else await render(info.context, question)
        if rendered is None or rendered.json is None or not rendered.holes:
            return rendered
        try:
            json = await fill(rendered.json, rendered.holes, info.context.loaders, info.schema)
        except TimedOut:
            raise
        except CrierError:
            return None
        return replace(rendered, json=json, holes=())

    def _make_question(self, info: GraphQLResolveInfo[Context], given: Mapping[str, Any]) -> Question | None:
        try:
            for need in self._needs:
                need.check(info.context)
            outline = read_outline(info)
            lists = tuple(read_lists(outline, info))
            return self._ask(info.context, self._arguments.read(given), outline.selection, lists)
        except CrierError:
            return None


def open_short_roads(schema: GraphQLSchema) -> None:
    """Lead each root field that has one over its short road first."""
    assert schema.query_type is not None  # noqa: S101 — for the type checker
    for name, ask in _ASKS.items():
        field = schema.query_type.fields[name]
        field.resolve = ShortRoad(ask, field).resolve


def read_outline(info: GraphQLResolveInfo[Context]) -> Outline:
    """What a root field was asked for; worked out once per document where that is remembered."""
    prepared = info.context.extras.get(PREPARED)
    outlines = Outlines() if prepared is None else prepared.outlines
    return outlines.read(info)


def _ask_posts(context: Context, given: Given, selection: Selection, below: Below) -> Question:
    lists = (*below, read_list(given))
    return Question(Root.POSTS, selection, lists, owner=_whose(context, given), reach=context.reach)


def _ask_accounts(context: Context, given: Given, selection: Selection, below: Below) -> Question:
    lists = (*below, read_list(given))
    return Question(Root.ACCOUNTS, selection, lists, owner=_whose(context, given), reach=context.reach)


def _ask_one(context: Context, given: Given, selection: Selection, below: Below) -> Question | None:
    """The object behind an id, if it is of a type that the field may give."""
    name = decode_id(given["key"])
    of = None if name is None else TYPE_OF.get(name[0])
    if of is None or of not in selection.by_type:
        return None
    return Question(Root.ONE, _narrow(selection, of), below, reach=context.reach, names=(name,))


@lru_cache(maxsize=500)
def _narrow(selection: Selection, of: str) -> Selection:
    """What is selected of objects of one type."""
    return Selection({of: selection.by_type[of]})


def _ask_many(context: Context, given: Given, selection: Selection, below: Below) -> Question | None:
    ids = given["ids"]
    if len(ids) > MOST_NODES:
        return None
    return Question(Root.MANY, selection, below, reach=context.reach, names=tuple(decode_id(text) for text in ids))


def _whose(context: Context, given: Given) -> UUID:
    wanted = given.get("wanted")
    return context.whose_list(None if wanted is None else wanted.user_id)


_ASKS: Mapping[str, Ask] = {
    "posts": _ask_posts,
    "post": _ask_one,
    "accounts": _ask_accounts,
    "account": _ask_one,
    "node": _ask_one,
    "nodes": _ask_many,
}
