"""What the database said lately, and for how long that is believed once it can no longer be asked.

While it answers, its word holds for `fresh_for`: so long may a revoked key still work. While it does not, its last word
holds on, so that operators can look when it matters most. Nobody can know then whether it would still say the
same: a key may have been revoked just before, or by a process that still reaches the database. So a word is believed
only if it was given within `stale_for` before the database was last heard on anything, and for `away_for` after that.
`ask_again`, called once a minute, reads all who must not be locked out then, whether or not they were ever here, and
keeps both from growing old unnoticed.

Who comes again and again waits for no word: in the second half of the time that it holds, it is asked for anew, with
those of all others who come at about the same time. Those who do wait, wait together: all that come in one turn of the
loop are asked for in one question, so that a crowd takes no connection per head.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Generic, TypeVar

from services.backends.deadline import deadline_in, time_left
from services.backends.troubles import Trouble
from services.domain.errors import Overloaded, TimedOut, Unavailable

K = TypeVar("K")
V = TypeVar("V")

_KEPT = 10_000
_ASKED_AGAIN = 100
"""So many at a time of those that are no longer listed, those first that came last."""
_PATIENCE = timedelta(seconds=1)
"""How long a new word is waited for where there is one that would do."""
_GATHERED_FOR = 0.2
"""Seconds for which keys are gathered to be asked for together."""
_ASKED_TOGETHER = 1_000
_LONGEST_WAIT = 60.0
"""Seconds; the database is given up long before."""
_DATABASE_TROUBLE = (Unavailable, TimedOut, Overloaded)


@dataclass(frozen=True, slots=True)
class _Memory(Generic[V]):
    value: V | None
    at: float


class Remembered(Generic[K, V]):
    """What `read` said of each key, absence included; the least used is forgotten first. It says nothing of the keys
    that it does not know."""

    def __init__(
        self,
        read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        *,
        clock: Callable[[], float] = time.monotonic,
        fresh_for: timedelta = timedelta(seconds=4),
        stale_for: timedelta = timedelta(minutes=5),
        away_for: timedelta = timedelta(hours=12),
    ) -> None:
        self._read = read
        self._clock = clock
        self._fresh_for = fresh_for.total_seconds()
        self._stale_for = stale_for.total_seconds()
        self._away_for = away_for.total_seconds()
        self._memories: OrderedDict[K, _Memory[V]] = OrderedDict()
        self._heard_at = float("-inf")
        self._ahead: set[K] = set()
        self._asking_ahead: asyncio.Task[None] | None = None
        self._waited_for: set[K] = set()
        self._next: asyncio.Task[Mapping[K, V]] | None = None
        """The question that is about to be asked for all these."""
        self._questions: set[asyncio.Task[Mapping[K, V]]] = set()
        self._trouble = Trouble("auth.not_asked_ahead")

    async def close(self) -> None:
        """Ask for nothing more."""
        asking = {*self._questions, *([] if self._asking_ahead is None else [self._asking_ahead])}
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking)

    async def get(self, key: K) -> V | None:
        """What was read of `key` a moment ago, or now. Raises what `read` raises where that is not to be believed."""
        memory = self._memories.get(key)
        age = float("inf") if memory is None else self._clock() - memory.at
        if memory is not None and age < self._fresh_for:
            self._memories.move_to_end(key)
            if memory.value is not None and age >= self._fresh_for / 2:
                self._ask_ahead(key)
            return memory.value
        if memory is None or memory.value is None or not self._is_believed(memory):
            value = await self._ask_together(key)
        else:
            try:
                with deadline_in(_PATIENCE):
                    value = await self._ask_together(key)
            except _DATABASE_TROUBLE:
                return memory.value
        self._memories.move_to_end(key)
        return value

    async def ask_again(
        self, read_listed: Callable[[], Awaitable[Mapping[K, V]]], is_listed: Callable[[V], bool]
    ) -> None:
        """Read what is listed, and what was so when it was last read. Raises what is raised by reading."""
        asked_at = self._clock()
        listed = await read_listed()
        for key, value in listed.items():
            self._keep(key, value, asked_at)

        newest_first = list(reversed(self._memories.items()))
        ended = [key for key, memory in newest_first if memory.value is not None and is_listed(memory.value)]
        unlisted = [key for key in ended if key not in listed][:_ASKED_AGAIN]
        if unlisted:
            await self._ask(unlisted)

    def _ask_ahead(self, key: K) -> None:
        self._ahead.add(key)
        if self._asking_ahead is None or self._asking_ahead.done():
            self._asking_ahead = asyncio.create_task(self._keep_asking_ahead(), context=Context())

    async def _keep_asking_ahead(self) -> None:
        """Until nobody's word is about to grow old. Where that fails, whoever comes next asks for one's own."""
        try:
            while self._ahead:
                await asyncio.sleep(_GATHERED_FOR)
                keys = list(islice(self._ahead, _ASKED_TOGETHER))
                with deadline_in(_PATIENCE):
                    await self._ask(keys)
                self._ahead.difference_update(keys)
            self._trouble.end()
        except Exception as error:
            self._trouble.note(error)
        finally:
            self._ahead.clear()

    async def _ask_together(self, key: K) -> V | None:
        """Ask with all others who come in the same turn of the loop, and wait as long as the caller may."""
        self._waited_for.add(key)
        if self._next is None:
            self._next = asyncio.create_task(self._ask_for_those_who_wait(), context=Context())
            self._questions.add(self._next)
            self._next.add_done_callback(self._forget)
        question = self._next
        await asyncio.wait({question}, timeout=time_left(_LONGEST_WAIT))
        if not question.done():
            raise TimedOut("The database did not say in time who this is.")
        return question.result().get(key)

    async def _ask_for_those_who_wait(self) -> Mapping[K, V]:
        keys, self._waited_for, self._next = list(self._waited_for), set(), None
        return await self._ask(keys)

    def _forget(self, question: asyncio.Task[Mapping[K, V]]) -> None:
        self._questions.discard(question)
        if not question.cancelled():
            question.exception()  # those who still waited were told

    async def _ask(self, keys: Sequence[K]) -> Mapping[K, V]:
        asked_at = self._clock()  # before the question: what was asked earlier must not look fresher
        found = await self._read(keys)
        for key in keys:
            self._keep(key, found.get(key), asked_at)
        return found

    def _keep(self, key: K, value: V | None, asked_at: float) -> None:
        self._memories[key] = _Memory(value, asked_at)
        self._heard_at = max(self._heard_at, asked_at)
        if len(self._memories) > _KEPT:
            self._memories.popitem(last=False)

    def _is_believed(self, memory: _Memory[V]) -> bool:
        was_recent = self._heard_at - memory.at < self._stale_for
        return was_recent and self._clock() - self._heard_at < self._away_for
