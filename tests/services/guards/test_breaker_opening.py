"""What opens a circuit breaker: failures in a row, and too many of the last calls."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from services.domain.breakers import Transition, Verdict
from services.domain.errors import CircuitOpen, NotFound
from services.domain.publishing import FailureKind, Pending, Unknown
from services.guards.circuit_breaker import CircuitBreakerService
from tests.services.guards.breaker_calls import (
    CLOSED,
    NAME,
    OPEN,
    PlatformDown,
    Wall,
    fail,
    fail_times,
    rejected,
    returning,
    run_forever,
    state_of,
    succeed,
    until_begun,
)


async def test_five_failures_open_it_and_the_sixth_call_is_not_run(breakers: CircuitBreakerService, wall: Wall) -> None:
    """The call is refused at once, and told how long the breaker rests."""
    runs = []

    async def count() -> None:
        runs.append(1)
        raise PlatformDown

    for _ in range(5):
        with pytest.raises(PlatformDown):
            await breakers.execute(NAME, count)
    wall.now += 12
    with pytest.raises(CircuitOpen) as refusal:
        await breakers.execute(NAME, count)

    assert len(runs) == 5
    assert refusal.value.retry_after == 48


async def test_twenty_concurrent_failures_open_it_once(
    breakers: CircuitBreakerService, told: list[tuple[str, Transition]]
) -> None:
    """All began while it was closed; the fifth to fail opens it, and the others change nothing."""
    everybody_runs = asyncio.Barrier(20)

    async def fail_together() -> None:
        await everybody_runs.wait()
        raise PlatformDown

    ends = await asyncio.gather(*(breakers.execute(NAME, fail_together) for _ in range(20)), return_exceptions=True)

    assert {type(end) for end in ends} == {PlatformDown}
    assert [(name, change.to_state) for name, change in told] == [(NAME, OPEN)]
    assert (await breakers.get_stats(NAME)).failures == 5


async def test_success_clears_the_count(breakers: CircuitBreakerService) -> None:
    """Four failures, a success, four failures: never five in a row."""
    await fail_times(breakers, 4)
    assert await breakers.execute(NAME, succeed) == "published"
    await fail_times(breakers, 4)

    assert await state_of(breakers) is CLOSED


async def test_processes_count_together(build: Callable[..., CircuitBreakerService]) -> None:
    """Failures of one process and another add up, and what one opened is open for both at once."""
    one, other = build(), build()
    await other.execute(NAME, succeed)
    await fail_times(one, 3)
    await fail_times(other, 2)

    with pytest.raises(CircuitOpen):
        await one.execute(NAME, succeed)


async def test_policy_is_what_the_process_says_now(build: Callable[..., CircuitBreakerService]) -> None:
    """A new threshold holds for a breaker that Redis knows already."""
    await fail_times(build(threshold=5), 2)

    await fail_times(build(threshold=3), 1)

    assert await state_of(build()) is OPEN


@pytest.mark.parametrize(
    ("end", "failures"),
    [
        (rejected(FailureKind.RETRY), 5),
        (Unknown("no answer", {}), 5),
        (rejected(FailureKind.CONTENT), 4),
        (rejected(FailureKind.PERMISSION), 4),
        (rejected(FailureKind.RECONNECT), 4),
        (rejected(FailureKind.WAIT), 4),
        (Pending({}, timedelta(seconds=1)), 0),
        (None, 0),
    ],
)
async def test_returned_outcome_counts_by_its_kind(breakers: CircuitBreakerService, end: object, failures: int) -> None:
    """The platform's illness counts; content, permission, token and limits neither count nor clear; the rest clears."""
    await fail_times(breakers, 4)

    assert await breakers.execute(NAME, returning(end)) is end

    assert (await breakers.get_stats(NAME)).failures == failures


async def test_refusal_of_our_own_counts_neither_way(breakers: CircuitBreakerService) -> None:
    """An error with a code that is not the platform's fault leaves the count where it was."""

    async def refuse() -> None:
        raise NotFound("no such post")

    await fail_times(breakers, 4)
    with pytest.raises(NotFound):
        await breakers.execute(NAME, refuse)

    assert (await breakers.get_stats(NAME)).failures == 4


async def test_cancellation_counts_neither_way(breakers: CircuitBreakerService) -> None:
    """Five clients that leave do not open it, and one that leaves clears nothing."""
    await fail_times(breakers, 4)
    for _ in range(5):
        call = await until_begun(breakers.execute(NAME, run_forever), 0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    stats = await breakers.get_stats(NAME)

    assert (stats.state, stats.failures) == (CLOSED, 4)


async def test_judge_of_the_caller_decides(breakers: CircuitBreakerService) -> None:
    """A caller who knows better classifies returned values and exceptions himself."""
    verdicts = iter([Verdict.FAILURE, Verdict.NEUTRAL])

    assert await breakers.execute(NAME, succeed, judge=lambda end: next(verdicts)) == "published"
    with pytest.raises(PlatformDown):
        await breakers.execute(NAME, fail, judge=lambda end: next(verdicts))

    assert (await breakers.get_stats(NAME)).failures == 1


async def test_judge_that_fails_costs_nothing(breakers: CircuitBreakerService) -> None:
    """What the platform answered reaches the caller all the same."""

    def stumble(end: object) -> Verdict:
        raise KeyError(end)

    assert await breakers.execute(NAME, succeed, judge=stumble) == "published"


async def alternate(breakers: CircuitBreakerService, times: int) -> None:
    for _ in range(times):
        await fail_times(breakers, 1)
        await breakers.execute(NAME, succeed)


async def test_failure_rate_opens_it_without_any_row(breakers: CircuitBreakerService) -> None:
    """Every second call fails, never two in a row: once there are 20 calls to judge by, it opens."""
    await alternate(breakers, 9)
    await fail_times(breakers, 1)
    assert await state_of(breakers) is CLOSED
    await breakers.execute(NAME, succeed)

    await fail_times(breakers, 1)

    stats = await breakers.get_stats(NAME)
    assert stats.state is OPEN
    assert stats.last_transitions[0].reason == "11 of the last 21 calls failed"


async def test_failure_rate_looks_at_its_window_only(breakers: CircuitBreakerService, wall: Wall) -> None:
    """What is a minute old does not count any more."""
    await alternate(breakers, 9)
    wall.now += 66

    await alternate(breakers, 9)

    assert await state_of(breakers) is CLOSED


async def test_failure_rate_forgets_neutral_calls(breakers: CircuitBreakerService) -> None:
    """Refused content neither fills the minimum nor waters the rate down."""
    for _ in range(30):
        await breakers.execute(NAME, returning(rejected(FailureKind.CONTENT)))
    await alternate(breakers, 9)

    assert await state_of(breakers) is CLOSED
    await alternate(breakers, 1)
    await fail_times(breakers, 1)
    assert await state_of(breakers) is OPEN


async def test_failure_rate_starts_anew_after_recovery(build: Callable[..., CircuitBreakerService], wall: Wall) -> None:
    """What opened it does not open it again at the first failure after the probe, however long the window."""
    breakers = build(rate_window=timedelta(hours=1))
    await alternate(breakers, 10)
    await fail_times(breakers, 1)
    wall.now += 60
    await breakers.execute(NAME, succeed)

    await fail_times(breakers, 1)

    assert await state_of(breakers) is CLOSED
