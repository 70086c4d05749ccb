"""Wrong credentials: counted by everybody together, answered ever later."""

from collections.abc import Callable

import pytest

from services.backends.redis import RedisGate
from services.domain.errors import RateLimited
from services.guards.api_budget import ApiBudget
from services.guards.failures import FailedAttempts
from tests.services.guards.breaker_calls import Wall

MOST = 6
NAMES = ["address:192.0.2.1", "key:abc"]


@pytest.fixture
def process(gate: RedisGate, wall: Wall) -> Callable[..., FailedAttempts]:
    """Makes one process's view of the failures, six a minute; with or without Redis."""

    def make(*, gate: RedisGate = gate) -> FailedAttempts:
        shared = ApiBudget(
            gate=gate, capacity=MOST, per_second=MOST / 60, on_unguarded=lambda: None, clock=lambda: wall.now
        )
        return FailedAttempts(shared=shared, most=MOST, clock=lambda: wall.now)

    return make


def wait_of(failures: FailedAttempts, *names: str) -> float:
    """How long one has to wait now."""
    try:
        failures.check(names)
    except RateLimited as refusal:
        assert refusal.retry_after is not None
        return refusal.retry_after
    return 0.0


async def test_failures_beyond_the_limit_have_to_wait_until_one_is_forgotten(
    process: Callable[..., FailedAttempts], wall: Wall
) -> None:
    """Six are taken at once; the next begins a wait of the ten seconds that one takes to be forgotten."""
    failures = process()
    for _ in range(MOST):
        await failures.note(NAMES)
        assert wait_of(failures, *NAMES) == 0
    await failures.note(NAMES)
    assert wait_of(failures, *NAMES) == pytest.approx(10, abs=0.1)
    assert wait_of(failures, NAMES[1]) == pytest.approx(10, abs=0.1)
    assert wait_of(failures, "address:192.0.2.2") == 0
    wall.now += 10.2
    assert wait_of(failures, *NAMES) == 0


async def test_wait_soon_after_another_is_twice_as_long(process: Callable[..., FailedAttempts], wall: Wall) -> None:
    """Up to a quarter of an hour; who lets it be for a while begins anew."""
    failures, waits = process(), []
    for _ in range(MOST):
        await failures.note(NAMES)
    for _ in range(9):
        await failures.note(NAMES)
        await failures.note(NAMES)
        waits.append(round(wait_of(failures, *NAMES)))
        wall.now += waits[-1] + 0.5
        for _ in range(MOST):
            await failures.note(NAMES[:1])
    assert waits == sorted(waits)
    assert waits[1] > waits[0]
    assert waits[-1] == 900
    wall.now += 2_000
    for _ in range(MOST + 1):
        await failures.note(NAMES)
    assert wait_of(failures, *NAMES) == pytest.approx(10, abs=0.1)


async def test_processes_count_together(process: Callable[..., FailedAttempts]) -> None:
    """Six guesses at one and one at the other are seven."""
    one, other = process(), process()
    for _ in range(MOST):
        await one.note(NAMES)
    await other.note(NAMES)
    assert wait_of(other, *NAMES) > 0


async def test_process_counts_for_itself_while_redis_is_away(process: Callable[..., FailedAttempts]) -> None:
    """Nobody guesses freely because something else is broken."""
    nowhere = RedisGate(url="redis://127.0.0.1:1/0")
    failures = process(gate=nowhere)
    for _ in range(MOST + 1):
        await failures.note(NAMES)
    assert wait_of(failures, *NAMES) > 0
    await nowhere.close()


async def test_names_are_forgotten_before_they_are_too_many(
    process: Callable[..., FailedAttempts], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attacker with many addresses fills no memory."""
    monkeypatch.setattr("services.guards.failures._KEPT", 50)
    failures = process()
    for number in range(120):
        await failures.note([f"address:{number}"])
    assert len(failures) == 50
