"""The short road: a root field whose answer one statement gives as finished JSON.

Where the optimizer cannot plan what was selected, or whoever fills a hole is away, the field's own resolver answers
through the loaders, as if this extension were not there; also where it is to refuse the arguments.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from inspect import isawaitable
from typing import Any
from uuid import UUID

import orjson
from strawberry.extensions import FieldExtension

from resolvers.context import Context
from resolvers.nodes import MOST_NODES
from resolvers.rendered import Rendered, render
from schema.documents import PREPARED
from schema.extensions.plan import note_road
from schema.holes import fill
from schema.info import Info
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


class ShortRoad(FieldExtension):
    """Answers by one statement where that is possible."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def resolve_async(self, next_: Callable[..., object], source: Any, info: Info, **given: Any) -> Any:
        """Finished JSON, or what the resolver gives."""
        with tally_statements() as tally:
            rendered = await self._render(info, given)
        counted = {"statements": tally.statements, "rows": tally.rows}
        if rendered is None:
            note_road(info.context, info.path.key, "LOADERS", **counted)
            result = next_(source, info, **given)
            return await result if isawaitable(result) else result
        note_road(info.context, info.path.key, "RENDERED", **counted, cache=rendered.cache.value)
        return None if rendered.json is None else orjson.Fragment(rendered.json)

    async def _render(self, info: Info, given: Given) -> Rendered | None:
        question = self._make_question(info, given)
        rendered = None if question is None else await render(info.context, question)
        if rendered is None or rendered.json is None or not rendered.holes:
            return rendered
        try:
            json = await fill(rendered.json, rendered.holes, info.context.loaders, info._raw_info.schema)
        except TimedOut:
            raise
        except CrierError:
            return None
        return replace(rendered, json=json, holes=())

    def _make_question(self, info: Info, given: Given) -> Question | None:
        outline = read_outline(info)
        try:
            return self._ask(info.context, given, outline.selection, tuple(read_lists(outline, info)))
        except CrierError:
            return None


def read_outline(info: Info) -> Outline:
    """What a root field was asked for; worked out once per document where that is remembered."""
    prepared = info.context.extras.get(PREPARED)
    outlines = Outlines() if prepared is None else prepared.outlines
    return outlines.read(info._raw_info)


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


POSTS = ShortRoad(_ask_posts)
ACCOUNTS = ShortRoad(_ask_accounts)
ONE = ShortRoad(_ask_one)
MANY = ShortRoad(_ask_many)
