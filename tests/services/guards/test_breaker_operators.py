"""What operators see of circuit breakers, and what they do to them."""

import asyncio
from datetime import timedelta

import pytest
import structlog
from redis.asyncio import Redis

from services.backends.redis import RedisGate
from services.domain.breakers import BreakerPolicy, Transition
from services.domain.errors import CircuitOpen
from services.guards.circuit_breaker import CircuitBreakerService
from tests.services.guards.breaker_calls import (
    CLOSED,
    HALF_OPEN,
    NAME,
    OPEN,
    Wall,
    fail_times,
    open_it,
    state_of,
    succeed,
    until_begun,
)


async def test_stats_tell_the_whole_story(breakers: CircuitBreakerService, wall: Wall) -> None:
    """State, times and the last transitions with their reasons, the newest first."""
    begin = wall.now
    await open_it(breakers)
    wall.now += 61
    await fail_times(breakers, 1)

    stats = await breakers.get_stats(NAME)

    assert (stats.name, stats.state, stats.failures, stats.threshold) == (NAME, OPEN, 6, 5)
    assert stats.opened_at is not None
    assert stats.opened_at.timestamp() == begin + 61
    assert stats.next_probe_at == stats.opened_at + timedelta(seconds=60)
    assert (stats.retry_after, stats.forced_by, stats.is_stale) == (60, None, False)
    assert [(one.from_state, one.to_state, one.reason) for one in stats.last_transitions] == [
        (HALF_OPEN, OPEN, "the probe failed"),
        (OPEN, HALF_OPEN, "time for a probe"),
        (CLOSED, OPEN, "5 failures in a row"),
    ]


async def test_list_shows_every_breaker_of_all_processes(gate: RedisGate, breakers: CircuitBreakerService) -> None:
    """Those expected and those that any process used, by name."""
    await breakers.execute("youtube-api", succeed)
    elsewhere = CircuitBreakerService(gate=gate, policy=BreakerPolicy(), names=[NAME])

    assert [(stats.name, stats.state) for stats in await elsewhere.list_stats()] == [
        (NAME, CLOSED),
        ("youtube-api", CLOSED),
    ]


async def test_looking_leaves_nothing_behind(breakers: CircuitBreakerService, redis: Redis) -> None:
    """A name that nobody uses makes no breaker."""
    await breakers.load_stats(["nobody", NAME])

    assert await redis.keys("*") == []


async def test_breaker_opened_by_hand_stays_open(breakers: CircuitBreakerService, wall: Wall) -> None:
    """No time of rest ends it; who did it is shown."""
    stats = await breakers.force_open(NAME, by="ada")
    wall.now += 3600

    with pytest.raises(CircuitOpen) as refusal:
        await breakers.execute(NAME, succeed)
    assert refusal.value.retry_after is None
    assert (stats.state, stats.forced_by, stats.next_probe_at) == (OPEN, "ada", None)
    assert stats.last_transitions[0].reason == "opened by ada"


async def test_breaker_closed_by_hand_works_as_ever(breakers: CircuitBreakerService, wall: Wall) -> None:
    """Calls pass at once, five failures open it again, and that ends by itself."""
    await breakers.force_open(NAME, by="ada")

    stats = await breakers.force_close(NAME, by="bob")

    assert (stats.state, stats.forced_by, stats.failures) == (CLOSED, None, 0)
    await open_it(breakers)
    assert await state_of(breakers) is OPEN
    wall.now += 60
    assert await breakers.execute(NAME, succeed) == "published"


async def test_reset_forgets_the_past(breakers: CircuitBreakerService) -> None:
    """Failures, calls and history are gone; only the reset itself is remembered."""
    await fail_times(breakers, 4)
    await breakers.force_open(NAME, by="ada")

    stats = await breakers.reset(NAME, by="bob")

    assert (stats.state, stats.failures) == (CLOSED, 0)
    assert [one.reason for one in stats.last_transitions] == ["reset by bob"]


async def test_hand_on_the_breaker_beats_a_running_probe(breakers: CircuitBreakerService, wall: Wall) -> None:
    """The probe that succeeds afterwards does not undo what an operator did."""
    await open_it(breakers)
    wall.now += 60
    may_end = asyncio.Event()
    probe = await until_begun(breakers.execute(NAME, may_end.wait))
    await breakers.force_open(NAME, by="ada")

    may_end.set()
    await probe

    assert await state_of(breakers) is OPEN


async def test_history_is_bounded_and_everything_expires(breakers: CircuitBreakerService, redis: Redis) -> None:
    """Ten transitions are kept, and no key is without an end."""
    for _ in range(8):
        await breakers.force_open(NAME, by="ada")
        await breakers.force_close(NAME, by="ada")
    await fail_times(breakers, 1)

    assert len((await breakers.get_stats(NAME)).last_transitions) == 10
    assert all([await redis.pttl(key) > 0 for key in await redis.keys("*")])


async def test_listener_hears_each_transition_once(
    breakers: CircuitBreakerService, wall: Wall, told: list[tuple[str, Transition]]
) -> None:
    """Open, half open, closed, in order; and the log has it, with the reason."""
    with structlog.testing.capture_logs() as events:
        await open_it(breakers)
        wall.now += 60
        await breakers.execute(NAME, succeed)
        await breakers.get_stats(NAME)

    assert [change.to_state for _, change in told] == [OPEN, HALF_OPEN, CLOSED]
    moved = [event for event in events if event["event"] == "breaker_moved"]
    assert [(event["breaker"], event["to_state"], event["log_level"]) for event in moved] == [
        (NAME, state, "warning") for state in (OPEN, HALF_OPEN, CLOSED)
    ]
    assert moved[0]["reason"] == "5 failures in a row"


async def test_listener_that_fails_breaks_nothing(gate: RedisGate, wall: Wall) -> None:
    """The caller gets the platform's answer, whatever a listener makes of the transition."""

    def stumble(name: str, change: Transition) -> None:
        raise KeyError(name)

    breakers = CircuitBreakerService(gate=gate, policy=BreakerPolicy(), on_transition=stumble, clock=wall)
    await open_it(breakers)
    wall.now += 60

    assert await breakers.execute(NAME, succeed) == "published"
    assert await state_of(breakers) is CLOSED
