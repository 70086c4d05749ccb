"""The cache under several real processes at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.callers import Start, callers_in, go, last_words, read_line


@pytest.fixture
async def start(redis: Redis) -> AsyncIterator[Start]:
    """Starts the caller beside this file; Redis is emptied afterwards."""
    async with callers_in(Path(__file__).parent) as start:
        yield start


async def test_five_hundred_misses_in_four_processes_load_once(start: Start, redis_url: str) -> None:
    """One process loads, once; all callers of all processes get its value."""
    processes = await asyncio.gather(*(start("cache_caller.py", redis_url, 125, 1) for _ in range(4)))

    for process in processes:
        go(process)
    counts: Counter[str] = Counter()
    for told in await asyncio.gather(*map(last_words, processes)):
        counts.update(told)

    assert counts.pop("loads") == 1
    [(_, answers)] = counts.items()
    assert answers == 500


async def test_loader_that_is_killed_is_replaced(start: Start, redis_url: str) -> None:
    """Callers of another process wait for it no longer than its claim lives, and then load for themselves."""
    victim = await start("cache_caller.py", redis_url, 1, 60)
    heir = await start("cache_caller.py", redis_url, 50, 0)
    go(victim)
    assert await read_line(victim) == "runs"
    go(heir)
    await asyncio.sleep(0.3)
    victim.kill()

    told = await last_words(heir)
    assert told.pop("loads") == 1
    assert list(told.values()) == [50]
