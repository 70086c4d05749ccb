"""Answers that PostgreSQL renders as finished JSON; lists come from the cache, as they do on the other road."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import orjson

from resolvers.context import Context
from services.domain.selection import Hole, Question, Root
from services.queries.optimizer import Plan, values_of
from services.queries.states import account_tag, post_tag

POSTS_KEPT_FOR = timedelta(seconds=300)
"""Whatever shows posts; all else is kept as long as the cache keeps things."""

Values = tuple[Any, ...]
"""What a plan's parameters stand for in one question."""

_CACHED = (Root.POSTS, Root.ACCOUNTS)
_TAGS = {"Account": account_tag, "Media": post_tag, "Post": post_tag, "PostTarget": post_tag}
_UNTAGGED = frozenset({"Attempt"})
"""Written down while a worker is at it, which no commit's tags tell of."""


class CacheUse(StrEnum):
    """What the cache did for an answer."""

    HIT = "HIT"
    MISS = "MISS"
    NONE = "NONE"
    """What is shown there is never kept."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer as JSON; None where there is nothing to show."""

    json: bytes | None
    holes: tuple[Hole, ...] = ()
    cache: CacheUse = CacheUse.NONE


async def render(context: Context, question: Question) -> Rendered | None:
    """The answer, holes open; None where one statement cannot give it, and the loaders must."""
    plan = context.services.optimizer.plan(question)
    if plan is None:
        return None
    if question.root not in _CACHED or plan.shown & _UNTAGGED:
        return Rendered(await _read(context, plan, question, values_of(plan, question)), plan.holes)
    return await _read_cached(context, plan, question)


async def _read(context: Context, plan: Plan, question: Question, values: Values) -> bytes | None:
    answer: bytes | None = await context.read_value(plan.sql, values, owner=question.owner or question.reach)
    return answer


async def _read_cached(context: Context, plan: Plan, question: Question) -> Rendered:
    values, use = values_of(plan, question), CacheUse.HIT

    async def load() -> bytes | None:
        nonlocal use
        use = CacheUse.MISS
        return await _read(context, plan, question, values)

    assert question.owner is not None  # noqa: S101 — for the type checker: lists are somebody's
    # What is shown of people never changes while a page is kept.
    tags = {_TAGS[of] for of in plan.shown if of in _TAGS}
    json = await context.services.cache.get_or_set(
        _key(plan, values),
        load,
        resolver=f"render_{question.root.lower()}",
        viewer=context.asker.user.id,
        ttl=POSTS_KEPT_FOR if post_tag in tags else None,
        tags=sorted(tag(question.owner) for tag in tags),
        at_first_sight=False,  # to keep a page takes as long as to render it, and most are never asked for again
    )
    return Rendered(json, plan.holes, use)


def _key(plan: Plan, values: Values) -> str:
    return blake2b(orjson.dumps([plan.digest, values], default=str), digest_size=16).hexdigest()
