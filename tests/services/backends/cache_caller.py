"""One process that asks a cache for the same value many times at once: `cache_caller.py REDIS_URL CALLS SECONDS`.

Each load takes SECONDS, and gives what no other process would give.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from datetime import timedelta
from uuid import UUID

from services.backends.redis import RedisGate
from tests.services.backends.caching import ask, make_cache

VIEWER = UUID(int=1)


def say(words: str) -> None:
    """At once."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


async def main(redis_url: str, calls: int, seconds: float) -> None:
    """Ask, and say how many loads ran here and which processes' values came back."""
    gate = RedisGate(url=redis_url, timeout=timedelta(seconds=20))
    await gate.open()
    cache = make_cache(gate, load_patience=timedelta(seconds=60))
    loads = 0

    async def load() -> bytes:
        nonlocal loads
        loads += 1
        say("runs")
        await asyncio.sleep(seconds)
        return f"by {os.getpid()}".encode()

    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    answers = Counter(await asyncio.gather(*(ask(cache, load, viewer=VIEWER) for _ in range(calls))))
    say(json.dumps({"loads": loads} | {str(answer): count for answer, count in answers.items()}))
    await cache.close()
    await gate.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
