"""What watchers of posts are told: the current state first, then every change, in order and each once.

A subscription begins before the state is read, so nothing falls between the two; what was said twice, or late, is
dropped by its version. Where events may be missing (`Gap`), the state is read anew and what is news in it is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

import orjson

from resolvers.context import Context
from services.backends.events import Gap
from services.domain.ids import Kind, decode_id_of
from services.domain.posts import STILL_TO_COME
from services.queries.states import StateRows, read_rows, upcoming_rows

T = TypeVar("T")

Tell = Callable[[StateRows], T]
"""Makes of a state what the watcher is told."""

MOST_UPCOMING = 200
"""So many posts still to come are told at first, the soonest; later ones are told when they change."""

_STILL_TO_COME = frozenset(status.value for status in STILL_TO_COME)


@dataclass(frozen=True, slots=True)
class Deleted:
    """A post that is no more."""

    post_id: UUID


@dataclass(slots=True)
class Told:
    """What one watcher already knows."""

    versions: dict[UUID, int] = field(default_factory=dict)
    open: set[UUID] = field(default_factory=set)
    """Posts that were still to come when last told of."""

    def is_news(self, state: StateRows) -> bool:
        """Whether the watcher does not know this state or a later one; from now on he does."""
        key, version = _key_of(state), state["post"]["version"]
        if version <= self.versions.get(key, 0):
            return False
        self.versions[key] = version
        if state["post"]["status"] in _STILL_TO_COME:
            self.open.add(key)
        else:
            self.open.discard(key)
        return True


async def watch_post(context: Context, text: str, tell: Tell[T]) -> AsyncIterator[T | None]:
    """One post; None, and the end, once there is no such post among the viewer's own."""
    owner, post_id = context.asker.user.id, decode_id_of(Kind.POST, text)
    if post_id is None:
        yield None
        return
    told = Told()
    async with context.services.events.subscribe(owner) as feed:
        change: StateRows | Deleted | None = await _read_post(context, owner, post_id)
        while True:
            if isinstance(change, Deleted):
                if change.post_id == post_id:
                    yield None
                    return
            elif change is not None and _key_of(change) == post_id and told.is_news(change):
                yield tell(change)
            item = await anext(feed, None)
            if item is None:
                return
            change = await _read_post(context, owner, post_id) if isinstance(item, Gap) else _decode(item)


async def watch_posts(context: Context, tell: Tell[T]) -> AsyncIterator[T]:
    """All of the viewer's posts: those still to come first, then each that changes."""
    owner, told = context.asker.user.id, Told()
    async with context.services.events.subscribe(owner) as feed:
        for state in await _read_open(context, owner, told):
            if told.is_news(state):
                yield tell(state)
        async for item in feed:
            for change in await _read_open(context, owner, told) if isinstance(item, Gap) else [_decode(item)]:
                if change is not None and not isinstance(change, Deleted) and told.is_news(change):
                    yield tell(change)


def _key_of(state: StateRows) -> UUID:
    return UUID(state["post"]["id"])


def _decode(item: bytes) -> StateRows | Deleted | None:
    event = orjson.loads(item)
    match event["kind"]:
        case "POST_CHANGED":
            state: StateRows = event["payload"]
            return state
        case "POST_DELETED":
            return Deleted(UUID(hex=event["payload"]["id"]))
    return None


async def _read_post(context: Context, owner: UUID, post_id: UUID) -> StateRows | Deleted:
    async with context.connect() as connection:
        return await read_rows(connection, post_id, owner=owner) or Deleted(post_id)


async def _read_open(context: Context, owner: UUID, told: Told) -> list[StateRows]:
    """What is still to come, and what no longer is although it was when last told of."""
    async with context.connect() as connection:
        states = await upcoming_rows(connection, owner=owner, limit=MOST_UPCOMING)
        ended = told.open - {_key_of(state) for state in states}
        found = [await read_rows(connection, post_id, owner=owner) for post_id in sorted(ended)]
    return [*(state for state in found if state is not None), *states]
