"""A cache as tests ask it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from services.backends.cache import CacheService
from services.backends.redis import RedisGate
from services.backends.tags import raise_tags

VIEWER, OTHER = uuid4(), uuid4()
MINUTE = timedelta(minutes=1)
PATIENTLY = timedelta(seconds=2)
"""For tests in which Redis does not fail: a busy machine is no outage."""


class Clock:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Source:
    """Where values come from: counts its loads, and may be slow."""

    def __init__(self, *values: bytes | None, takes: float = 0.0) -> None:
        self.values = list(values)
        self.takes = takes
        self.loads = 0

    async def load(self) -> bytes | None:
        """The next value; the last one for ever."""
        self.loads += 1
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        await asyncio.sleep(self.takes)
        return value


def make_cache(gate: RedisGate, **options: Any) -> CacheService:
    """A cache as one process of one deploy has it."""
    defaults: dict[str, Any] = {"version": "1", "default_ttl": MINUTE, "random": Random(1)}  # noqa: S311 — jitter
    return CacheService(gate=gate, **(defaults | options))


async def ask(cache: CacheService, load: Callable[[], Awaitable[bytes | None]], **options: Any) -> bytes | None:
    """One viewer's posts."""
    defaults: dict[str, Any] = {"resolver": "posts", "viewer": VIEWER, "tags": ("posts",)}
    return await cache.get_or_set("page", load, **(defaults | options))


async def raise_tag(gate: RedisGate, tag: str = "posts") -> None:
    """What follows a commit."""

    async def change(client: Redis) -> None:
        pipeline = client.pipeline(transaction=False)
        raise_tags(pipeline, [tag])
        await pipeline.execute()

    await gate.run(change)
