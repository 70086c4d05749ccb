"""The cache: finished values in Redis, each under the versions of the tags it depends on.

A hit is one round trip, MGET of the value and its tags. A value that was made under other versions is dead, so a load
that a commit overtakes leaves nothing behind. A value's life is `ttl`; in its last fifth it is stale: served while one
caller refreshes it. Without Redis every caller loads for itself; the cache never is a reason for an error.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from types import TracebackType
from typing import Any
from uuid import UUID

import orjson
from redis.exceptions import ResponseError

from services.backends.admission import AdmissionFilter
from services.backends.cache_entries import Claim, Entries, Entry, Keys
from services.backends.cache_stats import CacheCounters
from services.backends.deadline import extra_time, time_left
from services.backends.encoding import encode_json
from services.backends.redis import RedisAway, RedisGate
from services.backends.tags import EVERYTHING, tag_key
from services.backends.transactions import forget_transaction
from services.domain.caching import CacheScope, CacheStats
from services.domain.errors import TimedOut, Unavailable

Load = Callable[[], Awaitable[bytes | None]]

_log = logging.getLogger(__name__)

_FRESH = 0.8
"""The share of its life for which a value is fresh."""
_JITTER = 0.1
"""Lives differ by up to this share, so that what was cached together does not end together."""
_LOCK = timedelta(seconds=3)
"""Nobody waits longer than this for a loader that died."""
_FIRST_LOOK = 0.005
_LONGEST_LOOK = 0.05
_WITHOUT_CACHE = (RedisAway, ResponseError)


@dataclass(frozen=True, slots=True)
class _Miss:
    """What has to be loaded, and how long it may be kept."""

    keys: Keys
    resolver: str
    load: Load
    ttl: timedelta
    absent_ttl: timedelta | None


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error that every waiting caller raises, each with the trace of the load and not with the others' too."""

    error: Exception
    trace: TracebackType | None


class CacheService:
    """Answers from Redis, or loads once for everybody who asks at that moment, in any process."""

    def __init__(
        self,
        *,
        gate: RedisGate,
        version: str,
        default_ttl: timedelta,
        random: Random,
        max_bytes: int = 1_048_576,
        load_patience: timedelta = timedelta(seconds=10),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gate = gate
        self._version = version
        self._default_ttl = default_ttl
        self._random = random
        self._max_bytes = max_bytes
        self._load_patience = load_patience
        self._clock = clock
        self._entries = Entries(gate=gate, lock_for=_LOCK)
        self._admission = AdmissionFilter()
        self._counters = CacheCounters(gate=gate, version=version)
        self._loading: dict[tuple[Keys, bytes | None], asyncio.Task[bytes | _Failure | None]] = {}

    async def close(self) -> None:
        """End what is still being loaded, and hand in the counts."""
        for task in self._loading.values():
            task.cancel()
        if self._loading:
            await asyncio.wait(self._loading.values())
        await self._counters.close()

    async def stats(self) -> CacheStats:
        """How well each resolver is served, over all processes of this deploy."""
        return await self._counters.read()

    @property
    def own_stats(self) -> CacheStats:
        """How well each resolver was served by this process since its start."""
        return self._counters.own

    async def get_or_set(
        self,
        key: str,
        load: Load,
        *,
        resolver: str,
        viewer: UUID | None = None,
        scope: CacheScope = CacheScope.VIEWER,
        ttl: timedelta | None = None,
        tags: Sequence[str] = (),
        absent_ttl: timedelta | None = None,
        at_first_sight: bool = True,
    ) -> bytes | None:
        """The value under `key`, which says all that decides the answer besides resolver, viewer and deploy.

        Where there is none, what `load` gives. It may run for other callers too, in a task of its own: it may not
        depend on this caller staying. None is kept only with `absent_ttl`. What need not be kept `at_first_sight` is
        kept only once this process is asked for it again, and its first load does not touch Redis. Raises what `load`
        raises, and TimedOut where the caller's deadline comes first.
        """
        if (scope is CacheScope.VIEWER) != (viewer is not None):
            raise ValueError(f"{resolver}: scope {scope} with viewer {viewer}: give a viewer exactly for scope VIEWER")
        if ":" in resolver:
            raise ValueError(f"{resolver!r}: a colon in it would let two questions share a key")
        owner = "public" if viewer is None else viewer.hex
        keys = (f"crier:cache:{self._version}:{owner}:{resolver}:{key}", *map(tag_key, (EVERYTHING, *tags)))
        if not at_first_sight and not self._admission.admits(keys[0]):
            self._counters.count(resolver, "misses")
            return await load()
        try:
            entry = await self._entries.read(keys)
            if entry.stamp is None:
                entry = Entry(await self._entries.make_versions(keys))
        except _WITHOUT_CACHE:
            self._counters.count(resolver, "errors")
            return await load()
        if entry.blob is not None and entry.fresh_until >= self._clock():
            self._counters.count(resolver, "hits")
            return entry.value
        loading = self._start(_Miss(keys, resolver, load, self._default_ttl if ttl is None else ttl, absent_ttl), entry)
        if entry.blob is not None:
            self._counters.count(resolver, "stale")
            return entry.value
        self._counters.count(resolver, "misses")
        return await self._join(loading)

    async def get_or_set_json(self, key: str, load: Callable[[], Awaitable[Any]], **options: Any) -> Any:
        """`get_or_set` for anything that JSON can say; None is an absent value."""

        async def load_json() -> bytes | None:
            value = await load()
            return None if value is None else encode_json(value)

        encoded = await self.get_or_set(key, load_json, **options)
        return None if encoded is None else orjson.loads(encoded)

    def _start(self, miss: _Miss, seen: Entry) -> asyncio.Task[bytes | _Failure | None]:
        """Load, or join the load that began under the same tag versions: one from before a commit is not joined."""
        flight = (miss.keys, seen.stamp)
        task = self._loading.get(flight)
        if task is None:
            context = copy_context()
            context.run(forget_transaction)
            task = asyncio.create_task(self._load(miss, seen), context=context)
            self._loading[flight] = task
            task.add_done_callback(lambda _: self._loading.pop(flight))
        return task

    async def _join(self, task: asyncio.Task[bytes | _Failure | None]) -> bytes | None:
        """Wait for a load that goes on without us, should we go."""
        await asyncio.wait({task}, timeout=time_left(self._load_patience.total_seconds()))
        if not task.done():
            raise TimedOut("The operation's time ended while it waited for its answer to be loaded.")
        if task.cancelled():
            raise Unavailable("This server is shutting down.", retry_after=1)
        outcome = task.result()
        if isinstance(outcome, _Failure):
            raise outcome.error.with_traceback(outcome.trace)
        return outcome

    async def _load(self, miss: _Miss, seen: Entry) -> bytes | _Failure | None:
        """Load for everybody, unless another process just did, within a time of its own."""
        with extra_time(self._load_patience):
            try:
                claim = await self._claim(miss, seen)
                if isinstance(claim, Entry):
                    return claim.value
                return await self._fill(miss, claim)
            except Exception as error:
                if seen.blob is not None:
                    _log.warning("a stale value could not be refreshed", exc_info=True)
                return _Failure(error, error.__traceback__)

    async def _claim(self, miss: _Miss, seen: Entry) -> Claim | Entry | None:
        """The claim; or the value that its holder made meanwhile; or None: Redis has gone, and nobody can claim."""
        pause = _FIRST_LOOK
        while True:
            try:
                found = await self._entries.claim(miss.keys, seen)
            except _WITHOUT_CACHE:
                return None
            # Whoever has a stale value needs not wait for the one who refreshes it.
            if isinstance(found, Claim) or found.blob is not None or seen.blob is not None:
                return found
            await asyncio.sleep(time_left(pause))
            pause = min(2 * pause, _LONGEST_LOOK)

    async def _fill(self, miss: _Miss, claim: Claim | None) -> bytes | None:
        is_stored = False
        try:
            value = await miss.load()
            if claim is not None:
                is_stored = await self._keep(miss, claim, value)
        finally:
            if claim is not None and not is_stored:
                with suppress(*_WITHOUT_CACHE):
                    await self._entries.let_go(miss.keys, claim)
        return value

    async def _keep(self, miss: _Miss, claim: Claim, value: bytes | None) -> bool:
        """Store what may be stored; whether that also ended the claim."""
        ttl = miss.ttl if value is not None else miss.absent_ttl
        if ttl is None:
            return False
        if value is not None and len(value) > self._max_bytes:
            self._counters.count(miss.resolver, "too_large")
            return False
        life = ttl * self._random.uniform(1 - _JITTER, 1)
        fresh_until = self._clock() + _FRESH * life.total_seconds()
        try:
            await self._entries.store(miss.keys, claim, value, fresh_until=fresh_until, life=life)
        except _WITHOUT_CACHE:
            return False
        return True
