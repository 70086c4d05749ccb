"""Circuit breakers and Redis: what a call costs, and what becomes of it without."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from services.backends.redis import RedisAway, RedisGate
from services.domain.breakers import BreakerPolicy
from services.domain.errors import CircuitOpen
from services.guards.circuit_breaker import CircuitBreakerService
from tests.faulty import OwnRedis
from tests.services.guards.breaker_calls import (
    CLOSED,
    HALF_OPEN,
    HASH,
    NAME,
    OPEN,
    PlatformDown,
    Wall,
    fail,
    fail_times,
    open_it,
    run_forever,
    state_of,
    succeed,
    until_begun,
)


async def scripts_run(redis: Redis) -> int:
    found = await redis.info("commandstats")
    return sum(found.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))


async def test_healthy_call_costs_one_round_trip(tmp_path: Path) -> None:
    """Asked once before it, and not again when it succeeded; counted by a Redis that nobody else uses."""
    own = OwnRedis(tmp_path)
    own.start()
    gate = RedisGate(url=own.url, timeout=timedelta(seconds=20))
    try:
        breakers = CircuitBreakerService(gate=gate, policy=BreakerPolicy())
        await breakers.execute(NAME, succeed)
        before = await scripts_run(gate.client)

        for _ in range(10):
            await breakers.execute(NAME, succeed)

        assert await scripts_run(gate.client) - before == 10
    finally:
        await gate.close()
        own.kill()


async def test_flush_in_mid_call_costs_nothing(breakers: CircuitBreakerService, redis: Redis) -> None:
    """The call's result stands, and the breaker goes on from nothing."""
    await fail_times(breakers, 4)

    async def flush() -> str:
        await redis.flushdb()
        return "published"

    assert await breakers.execute(NAME, flush) == "published"
    await open_it(breakers)
    assert await state_of(breakers) is OPEN


async def test_flush_during_a_probe_bricks_nothing(breakers: CircuitBreakerService, redis: Redis, wall: Wall) -> None:
    """The breaker is closed as if new, and the probe's late failure is not counted."""
    await open_it(breakers)
    wall.now += 60

    async def flush() -> None:
        await redis.flushdb()
        wall.now += 0.001
        raise PlatformDown

    with pytest.raises(PlatformDown):
        await breakers.execute(NAME, flush)

    stats = await breakers.get_stats(NAME)
    assert (stats.state, stats.failures) == (CLOSED, 0)


@pytest.mark.parametrize("trouble", ["cut", "freeze"])
@pytest.mark.parametrize("end", [succeed, fail])
async def test_redis_lost_in_mid_call_never_changes_the_result(
    build: Callable[..., CircuitBreakerService], road: Any, trouble: str, end: Callable[[], Awaitable[str]]
) -> None:
    """A published post is never reported as failed, nor the platform's error hidden by Redis's."""
    breakers = build()
    await fail_times(breakers, 1)

    async def lose_redis() -> str:
        await road.cut() if trouble == "cut" else road.freeze()
        return await end()

    if end is succeed:
        assert await breakers.execute(NAME, lose_redis) == "published"
    else:
        with pytest.raises(PlatformDown):
            await breakers.execute(NAME, lose_redis)
    assert (await breakers.get_stats(NAME)).is_stale


async def test_without_redis_an_open_breaker_stays_open(breakers: CircuitBreakerService, road: Any, wall: Wall) -> None:
    """The process goes by what it saw last, lets one probe through in time, and closes by it."""
    await open_it(breakers)
    await road.cut()
    wall.now += 20
    with pytest.raises(CircuitOpen) as refusal:
        await breakers.execute(NAME, succeed)
    assert refusal.value.retry_after == 40

    wall.now += 40
    may_end = asyncio.Event()
    probe = await until_begun(breakers.execute(NAME, may_end.wait))
    with pytest.raises(CircuitOpen):
        await breakers.execute(NAME, succeed)
    may_end.set()
    await probe

    stats = await breakers.get_stats(NAME)
    assert (stats.state, stats.is_stale) == (CLOSED, True)
    assert "while Redis was away" in stats.last_transitions[0].reason


async def test_without_redis_a_process_opens_its_own(breakers: CircuitBreakerService, road: Any) -> None:
    """Failures seen before the outage count with those seen during it."""
    await fail_times(breakers, 3)
    await road.cut()

    await fail_times(breakers, 2)

    with pytest.raises(CircuitOpen):
        await breakers.execute(NAME, succeed)


async def test_failure_whose_report_is_lost_counts_in_the_process(breakers: CircuitBreakerService, road: Any) -> None:
    """Redis goes while the fifth call fails: this process at least knows."""

    async def fail_with_redis() -> None:
        await road.cut()
        raise PlatformDown

    await fail_times(breakers, 4)
    with pytest.raises(PlatformDown):
        await breakers.execute(NAME, fail_with_redis)

    with pytest.raises(CircuitOpen):
        await breakers.execute(NAME, succeed)


async def test_without_redis_a_late_success_closes_nothing(breakers: CircuitBreakerService, road: Any) -> None:
    """A call from before the breaker opened means as little to a process alone as to all together."""
    await road.cut()
    await fail_times(breakers, 1)
    may_end = asyncio.Event()
    late = await until_begun(breakers.execute(NAME, may_end.wait))
    await fail_times(breakers, 4)

    may_end.set()
    await late

    assert await state_of(breakers) is OPEN


async def test_without_redis_a_replaced_prober_decides_nothing(
    breakers: CircuitBreakerService, road: Any, wall: Wall
) -> None:
    """A probe that gave no sign of life is replaced here too, and its late end left aside."""
    await road.cut()
    await open_it(breakers)
    wall.now += 60
    may_end = asyncio.Event()
    replaced = await until_begun(breakers.execute(NAME, may_end.wait))
    wall.now += 10
    heir = await until_begun(breakers.execute(NAME, run_forever))

    may_end.set()
    await replaced

    assert await state_of(breakers) is HALF_OPEN
    heir.cancel()


async def test_without_redis_a_breaker_held_open_stays_so(
    breakers: CircuitBreakerService, road: Any, wall: Wall
) -> None:
    """An operator's hand is remembered too."""
    await breakers.force_open(NAME, by="ada")
    await road.cut()
    wall.now += 3600

    with pytest.raises(CircuitOpen):
        await breakers.execute(NAME, succeed)


async def test_process_that_only_looks_remembers_what_it_saw(
    build: Callable[..., CircuitBreakerService], road: Any
) -> None:
    """An API process that never calls a platform still shows the last it knew, marked stale."""
    publisher, onlooker = build(), build()
    await open_it(publisher)
    await onlooker.list_stats()
    await road.cut()

    [stats] = await onlooker.list_stats()

    assert (stats.state, stats.is_stale, len(stats.last_transitions)) == (OPEN, True, 1)


async def test_operator_is_told_where_redis_is_away(breakers: CircuitBreakerService, road: Any) -> None:
    """Nothing is moved in one process alone."""
    await road.cut()

    with pytest.raises(RedisAway):
        await breakers.force_open(NAME, by="ada")


async def test_redis_that_is_back_is_believed_again(
    breakers: CircuitBreakerService, road: Any, gate: RedisGate
) -> None:
    """What one process made up its mind about alone ends with the outage."""
    await fail_times(breakers, 4)
    await road.cut()
    await fail_times(breakers, 1)
    await road.mend()
    async with asyncio.timeout(5):
        while gate.is_away:
            await asyncio.sleep(0.05)

    assert await breakers.execute(NAME, succeed) == "published"
    stats = await breakers.get_stats(NAME)
    assert (stats.state, stats.failures, stats.is_stale) == (CLOSED, 0, False)


async def test_key_of_another_type_is_as_good_as_no_redis(breakers: CircuitBreakerService, redis: Redis) -> None:
    """Whatever stands in the breaker's place, calls go on and five failures still open it; it is told of once."""
    await redis.set(HASH, "nonsense")

    with capture_logs() as told:
        await open_it(breakers)
        with pytest.raises(CircuitOpen):
            await breakers.execute(NAME, succeed)

    assert [event["event"] for event in told if event["log_level"] == "error"] == ["breakers.refused"]
