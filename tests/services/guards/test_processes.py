"""Breaker and limiter under several real processes at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from services.backends.redis import RedisGate
from services.domain.breakers import BreakerPolicy, BreakerState
from services.guards.circuit_breaker import CircuitBreakerService
from tests.callers import Start, callers_in, go, last_words, read_line


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts the callers beside this file."""
    async with callers_in(Path(__file__).parent) as start:
        yield start


@pytest.fixture
async def breakers(redis: Redis, redis_url: str) -> AsyncIterator[CircuitBreakerService]:
    """The breaker of this process, opened by five failures and ready for a probe."""
    gate = RedisGate(url=redis_url, timeout=timedelta(seconds=20))
    policy = BreakerPolicy(open_for=timedelta(milliseconds=200), probe_lease=timedelta(seconds=1))
    breakers = CircuitBreakerService(gate=gate, policy=policy)
    yield breakers
    await gate.close()


async def fail() -> None:
    raise ConnectionResetError


async def open_it(breakers: CircuitBreakerService) -> None:
    for _ in range(5):
        with pytest.raises(ConnectionResetError):
            await breakers.execute("shared-api", fail)
    await asyncio.sleep(0.25)


async def test_hundred_callers_in_eight_processes_make_one_probe(
    breakers: CircuitBreakerService, redis_url: str, start: Start
) -> None:
    """One call runs; all others, in its own process and in seven others, are refused; its success closes for all."""
    processes = await asyncio.gather(*(start("breaker_caller.py", redis_url, 13, 1.5) for _ in range(8)))
    await open_it(breakers)

    for process in processes:
        go(process)
    counts = await asyncio.gather(*map(last_words, processes))

    assert sum(count["ran"] for count in counts) == 1
    assert sum(count["refused"] for count in counts) == 8 * 13 - 1
    assert (await breakers.get_stats("shared-api")).state is BreakerState.CLOSED


async def test_killed_prober_is_replaced(breakers: CircuitBreakerService, redis_url: str, start: Start) -> None:
    """A process killed in mid-probe holds the others up for one lease and no longer."""
    prober = await start("breaker_caller.py", redis_url, 1, 60)
    heir = await start("breaker_caller.py", redis_url, 1, 0)
    await open_it(breakers)
    go(prober)
    assert await read_line(prober) == "runs"
    await asyncio.sleep(1.2)  # longer than a lease: it is renewed
    assert (await breakers.get_stats("shared-api")).retry_after != 0

    prober.kill()
    await asyncio.sleep(1.1)
    go(heir)

    assert (await last_words(heir))["ran"] == 1
    assert (await breakers.get_stats("shared-api")).state is BreakerState.CLOSED


async def test_two_hundred_callers_in_four_processes_take_25_slots(
    database: AsyncEngine, database_url: str, start: Start
) -> None:
    """However they race, exactly 25 publish and every other is refused."""
    processes = await asyncio.gather(*(start("throttle_caller.py", database_url, 50) for _ in range(4)))

    for process in processes:
        go(process)
    counts = await asyncio.gather(*map(last_words, processes))

    assert sum(count["ran"] for count in counts) == 25
    assert sum(count["refused"] for count in counts) == 175
