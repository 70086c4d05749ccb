"""Counts of the cache, per resolver, summed over all processes.

Counting costs no round trip: each process adds up and hands its sums to one hash in Redis about once a second.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from contextvars import Context
from datetime import timedelta

from redis.asyncio import Redis
from redis.exceptions import ResponseError
from redis.utils import str_if_bytes

from services.backends.redis import RedisAway, RedisGate
from services.domain.caching import CacheStats, ResolverCacheStats

_HAND_IN_EVERY = 1.0
_KEPT_FOR = timedelta(days=7)


class CacheCounters:
    """Counts by resolver and outcome; the outcomes are the fields of `ResolverCacheStats`."""

    def __init__(self, *, gate: RedisGate, version: str) -> None:
        self._gate = gate
        self._key = f"crier:cachestats:{version}"
        self._own: Counter[tuple[str, str]] = Counter()
        self._new: Counter[tuple[str, str]] = Counter()
        self._handing_in: asyncio.Task[None] | None = None

    @property
    def own(self) -> CacheStats:
        """What this process alone has counted; never less than before."""
        return CacheStats(_by_resolver(self._own), is_shared=False)

    def count(self, resolver: str, outcome: str) -> None:
        """One more."""
        self._own[resolver, outcome] += 1
        self._new[resolver, outcome] += 1
        if self._handing_in is None:
            self._handing_in = asyncio.create_task(self._hand_in_later(), context=Context())

    async def read(self) -> CacheStats:
        """All processes' counts; this one's alone while Redis is away."""
        try:
            await self._hand_in()
            stored = await self._gate.run(lambda client: client.hgetall(self._key))
        except (RedisAway, ResponseError):
            return self.own
        counts = Counter({_split(name): int(count) for name, count in stored.items()})
        return CacheStats(_by_resolver(counts), is_shared=True)

    async def close(self) -> None:
        """Hand in what was counted last."""
        if self._handing_in is not None:
            self._handing_in.cancel()
            await asyncio.wait({self._handing_in})
        with suppress(RedisAway, ResponseError):
            await self._hand_in()

    async def _hand_in_later(self) -> None:
        try:
            await asyncio.sleep(_HAND_IN_EVERY)
            with suppress(RedisAway, ResponseError):
                await self._hand_in()
        finally:
            self._handing_in = None

    async def _hand_in(self) -> None:
        """Add this process's new counts to the shared ones; what cannot be handed in now is kept for later."""
        counts, self._new = self._new, Counter()
        if not counts:
            return

        async def add(client: Redis) -> None:
            pipeline = client.pipeline(transaction=False)
            for (resolver, outcome), count in counts.items():
                pipeline.hincrby(self._key, f"{resolver}|{outcome}", count)
            pipeline.expire(self._key, _KEPT_FOR)
            await pipeline.execute()

        try:
            await self._gate.run(add)
        except BaseException:
            self._new += counts
            raise


def _split(name: bytes | str) -> tuple[str, str]:
    resolver, _, outcome = str_if_bytes(name).rpartition("|")
    return resolver, outcome


def _by_resolver(counts: Counter[tuple[str, str]]) -> tuple[ResolverCacheStats, ...]:
    return tuple(
        ResolverCacheStats(
            resolver=resolver,
            hits=counts[resolver, "hits"],
            stale=counts[resolver, "stale"],
            misses=counts[resolver, "misses"],
            errors=counts[resolver, "errors"],
            too_large=counts[resolver, "too_large"],
        )
        for resolver in sorted({resolver for resolver, _ in counts})
    )
