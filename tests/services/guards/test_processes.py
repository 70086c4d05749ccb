"""Breaker and limiter under several real processes at once."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from services.backends.redis import RedisGate
from services.domain.breakers import BreakerPolicy, BreakerState
from services.guards.circuit_breaker import CircuitBreakerService

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start one of the callers beside this file, and wait until it is ready; what still runs in the end is killed."""
    started: list[Process] = []

    async def start(script: str, *arguments: object) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / script),
            *map(str, arguments),
            stdin=PIPE,
            stdout=PIPE,
            env={"PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        assert await read_line(process) == "ready"
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def read_line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(40):
        return (await process.stdout.readline()).decode().strip()


def go(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")


async def last_words(process: Process) -> dict[str, int]:
    """The counts a caller prints, after any `runs`."""
    while (line := await read_line(process)) == "runs":
        pass
    counts: dict[str, int] = json.loads(line)
    return counts


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
