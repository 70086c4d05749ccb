"""How a circuit breaker recovers: one probe, whatever else goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from services.backends.redis import RedisGate
from services.domain.breakers import BreakerPolicy
from services.domain.errors import CircuitOpen
from services.domain.publishing import FailureKind
from services.guards.circuit_breaker import CircuitBreakerService
from tests.services.guards.breaker_calls import (
    CLOSED,
    HALF_OPEN,
    NAME,
    OPEN,
    PlatformDown,
    Wall,
    fail,
    fail_times,
    open_it,
    rejected,
    returning,
    run_forever,
    state_of,
    succeed,
    until_begun,
)


async def test_one_of_a_hundred_probes(breakers: CircuitBreakerService, wall: Wall) -> None:
    """When its time is over one call passes, visibly; 99 are refused and told to come back."""
    await open_it(breakers)
    wall.now += 60
    runs, may_end = [], asyncio.Event()

    async def probe() -> None:
        runs.append(1)
        await may_end.wait()

    calls = [asyncio.ensure_future(breakers.execute(NAME, probe)) for _ in range(100)]
    await asyncio.wait(calls, timeout=1)
    during = await breakers.get_stats(NAME)
    may_end.set()
    ends = await asyncio.gather(*calls, return_exceptions=True)

    assert len(runs) == 1
    assert during.state is HALF_OPEN
    assert sum(isinstance(end, CircuitOpen) for end in ends) == 99
    assert all(end.retry_after == 10 for end in ends if isinstance(end, CircuitOpen))
    assert await state_of(breakers) is CLOSED


async def test_probe_that_fails_opens_it_anew(breakers: CircuitBreakerService, wall: Wall) -> None:
    """The whole time of rest begins again."""
    await open_it(breakers)
    wall.now += 60
    await fail_times(breakers, 1)

    wall.now += 59.999
    with pytest.raises(CircuitOpen):
        await breakers.execute(NAME, succeed)
    wall.now += 0.001
    assert await breakers.execute(NAME, succeed) == "published"


async def test_probe_that_says_nothing_leaves_the_place_to_the_next(
    breakers: CircuitBreakerService, wall: Wall
) -> None:
    """A probe whose content is refused neither closes nor opens it."""
    await open_it(breakers)
    wall.now += 60

    await breakers.execute(NAME, returning(rejected(FailureKind.CONTENT)))

    assert await state_of(breakers) is HALF_OPEN
    assert await breakers.execute(NAME, succeed) == "published"
    assert await state_of(breakers) is CLOSED


async def test_probe_of_a_dead_process_is_replaced(build: Callable[..., CircuitBreakerService], wall: Wall) -> None:
    """No sign of life for a lease, and the next call probes; what the dead one says from its grave changes nothing."""
    dead, living = build(), build()
    await open_it(dead)
    wall.now += 60
    may_end = asyncio.Event()

    async def return_from_the_grave() -> None:
        await may_end.wait()
        raise PlatformDown

    grave = await until_begun(dead.execute(NAME, return_from_the_grave))
    wall.now += 9.999
    with pytest.raises(CircuitOpen):
        await living.execute(NAME, succeed)
    wall.now += 0.001
    assert await living.execute(NAME, succeed) == "published"

    may_end.set()
    with pytest.raises(PlatformDown):
        await grave
    stats = await living.get_stats(NAME)
    assert (stats.state, stats.failures) == (CLOSED, 0)


@pytest.mark.parametrize("end", [succeed, fail])
async def test_replaced_prober_decides_nothing(
    build: Callable[..., CircuitBreakerService], wall: Wall, end: Callable[[], Awaitable[str]]
) -> None:
    """It comes back while its heir still probes: the breaker waits for the heir."""
    dead, living = build(), build()
    await open_it(dead)
    wall.now += 60
    may_end = asyncio.Event()

    async def return_from_the_grave() -> str:
        await may_end.wait()
        return await end()

    grave = await until_begun(dead.execute(NAME, return_from_the_grave))
    wall.now += 10
    heir = await until_begun(living.execute(NAME, run_forever))
    may_end.set()
    await asyncio.gather(grave, return_exceptions=True)

    assert await state_of(living) is HALF_OPEN
    with pytest.raises(CircuitOpen):
        await living.execute(NAME, succeed)
    heir.cancel()


async def test_slow_probe_stays_the_only_one(gate: RedisGate) -> None:
    """A probe that takes several leases shows that it lives."""
    policy = BreakerPolicy(threshold=1, open_for=timedelta(milliseconds=50), probe_lease=timedelta(milliseconds=150))
    breakers = CircuitBreakerService(gate=gate, policy=policy)
    await fail_times(breakers, 1)
    await asyncio.sleep(0.06)

    slow = await until_begun(breakers.execute(NAME, run_forever), 0.6)

    with pytest.raises(CircuitOpen):
        await breakers.execute(NAME, succeed)
    slow.cancel()


@pytest.mark.parametrize("end", [succeed, fail])
async def test_late_end_of_an_old_call_changes_nothing(
    breakers: CircuitBreakerService, wall: Wall, end: Callable[[], Awaitable[str]]
) -> None:
    """A call that began before the breaker opened neither closes it nor lengthens its rest."""
    may_end = asyncio.Event()

    async def dawdle() -> str:
        await may_end.wait()
        return await end()

    await fail_times(breakers, 1)  # so that a success would have something to clear
    late = await until_begun(breakers.execute(NAME, dawdle))
    await fail_times(breakers, 4)
    before = await breakers.get_stats(NAME)
    wall.now += 30
    may_end.set()
    await asyncio.gather(late, return_exceptions=True)

    after = await breakers.get_stats(NAME)
    assert (after.state, after.opened_at, after.failures) == (OPEN, before.opened_at, before.failures)


async def test_clock_that_steps_back_does_not_lengthen_the_rest(breakers: CircuitBreakerService, wall: Wall) -> None:
    """An hour back is no hour more."""
    await open_it(breakers)
    wall.now -= 3600
    with pytest.raises(CircuitOpen) as refusal:
        await breakers.execute(NAME, succeed)

    assert refusal.value.retry_after == 60
    wall.now += 60
    assert await breakers.execute(NAME, succeed) == "published"
