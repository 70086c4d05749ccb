"""What a cache hit costs beside a bare GET of the same bytes: `python -m benchmarks.cache`, on a Redis of its own.

The goal is at most 1.3 times the bare GET.
"""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import uvloop

from app.embedded import EmbeddedServers
from benchmarks.rounds import Contender, compare
from services.backends.cache import CacheService, Load
from services.backends.redis import RedisGate

TAGS = ("posts:somebody", "accounts:somebody")


def at_once(contender: Contender) -> Contender:
    """Sixteen callers of it."""

    async def callers() -> None:
        await asyncio.gather(*(contender() for _ in range(16)))

    return callers


async def main(redis_url: str) -> None:
    """Values of two sizes, under two tags; one caller, and sixteen at once."""
    gate = RedisGate(url=redis_url)
    await gate.open()
    cache = CacheService(gate=gate, version="bench", default_ttl=timedelta(hours=1), random=Random(1))
    viewer = uuid4()
    for size in (2_000, 40_000):
        value = b"x" * size
        await gate.client.set("bare", value)

        async def load(value: bytes = value) -> bytes:
            return value

        async def bare() -> object:
            return await gate.client.get("bare")

        async def hit(key: str = str(size), load: Load = load) -> object:
            return await cache.get_or_set(key, load, resolver="posts", viewer=viewer, tags=TAGS)

        print(f"{size} bytes")
        await compare({"bare GET": bare, "hit": hit})
        await compare({"16 bare GETs": at_once(bare), "16 hits": at_once(hit)}, calls=20)
    await cache.close()
    await gate.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="crier-bench-") as folder:
        servers = EmbeddedServers(data_dir=Path(folder), postgres=False)
        try:
            uvloop.run(main(servers.start().redis_url))
        finally:
            servers.stop()
