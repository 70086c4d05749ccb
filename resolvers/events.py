"""What watchers of posts are told: the current state first, then every change, in order and each once.

A subscription begins before the state is read, so nothing falls between the two; what was said twice, or late, is
dropped by its version. Where events may be missing (`Gap`), the state is read anew and what is news in it is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

import orjson

from resolvers.context import Context
from services.backends.events import Gap
from services.domain.ids import Kind, decode_id_of
from services.domain.posts import STILL_TO_COME, Post, PostState, PostStatus
from services.queries.states import read_state, state_from_json, upcoming_states

MOST_UPCOMING = 200
"""So many posts still to come are told at first, the soonest; later ones are told when they change."""

_STILL_TO_COME = frozenset(PostStatus(status.value) for status in STILL_TO_COME)


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

    def is_news(self, state: PostState) -> bool:
        """Whether the watcher does not know this state or a later one; from now on he does."""
        post = state.post
        if post.version <= self.versions.get(post.id, 0):
            return False
        self.versions[post.id] = post.version
        if post.status in _STILL_TO_COME:
            self.open.add(post.id)
        else:
            self.open.discard(post.id)
        return True


async def watch_post(context: Context, text: str) -> AsyncIterator[Post | None]:
    """One post; None, and the end, once there is no such post among the viewer's own."""
    owner, post_id = context.asker.user.id, decode_id_of(Kind.POST, text)
    if post_id is None:
        yield None
        return
    told = Told()
    async with context.services.events.subscribe(owner) as feed:
        change: PostState | Deleted | None = await _read_post(context, owner, post_id)
        while True:
            match change:
                case Deleted(gone) if gone == post_id:
                    yield None
                    return
                case PostState() if change.post.id == post_id and told.is_news(change):
                    yield _show(context, change)
            item = await anext(feed, None)
            if item is None:
                return
            change = await _read_post(context, owner, post_id) if isinstance(item, Gap) else _decode(item)


async def watch_posts(context: Context) -> AsyncIterator[Post]:
    """All of the viewer's posts: those still to come first, then each that changes."""
    owner, told = context.asker.user.id, Told()
    async with context.services.events.subscribe(owner) as feed:
        for state in await _read_open(context, owner, told):
            if told.is_news(state):
                yield _show(context, state)
        async for item in feed:
            for change in await _read_open(context, owner, told) if isinstance(item, Gap) else [_decode(item)]:
                if isinstance(change, PostState) and told.is_news(change):
                    yield _show(context, change)


def _show(context: Context, state: PostState) -> Post:
    """Each change is an execution of its own: only what came with it is known, the rest is read anew."""
    context.forget()
    return context.loaders.prime(state)


def _decode(item: bytes) -> PostState | Deleted | None:
    event = orjson.loads(item)
    match event["kind"]:
        case "POST_CHANGED":
            return state_from_json(event["payload"])
        case "POST_DELETED":
            return Deleted(UUID(hex=event["payload"]["id"]))
    return None


async def _read_post(context: Context, owner: UUID, post_id: UUID) -> PostState | Deleted:
    async with context.connect() as connection:
        return await read_state(connection, post_id, owner=owner) or Deleted(post_id)


async def _read_open(context: Context, owner: UUID, told: Told) -> list[PostState]:
    """What is still to come, and what no longer is although it was when last told of."""
    async with context.connect() as connection:
        states = await upcoming_states(connection, owner=owner, limit=MOST_UPCOMING)
        ended = told.open - {state.post.id for state in states}
        found = [await read_state(connection, post_id, owner=owner) for post_id in sorted(ended)]
    return [*(state for state in found if state is not None), *states]
