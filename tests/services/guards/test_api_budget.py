"""The API's budget: a leaky bucket per viewer."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from structlog.testing import capture_logs

from services.backends.redis import RedisGate
from services.domain.limits import Spending
from services.guards.api_budget import ApiBudget
from tests.services.guards.breaker_calls import Wall


@pytest.fixture
def unguarded() -> list[int]:
    """Grows by one for each spending that nobody could check."""
    return []


@pytest.fixture
def budget(gate: RedisGate, wall: Wall, unguarded: list[int]) -> ApiBudget:
    """A hundred at once, ten a second."""
    return ApiBudget(gate=gate, capacity=100, per_second=10, on_unguarded=lambda: unguarded.append(1), clock=wall)


async def test_spending_lowers_the_budget_and_time_restores_it(budget: ApiBudget, wall: Wall) -> None:
    """Sixty of a hundred, and three seconds later thirty are back."""
    assert await budget.spend("ada", 60) == Spending(
        is_allowed=True, limit=100, remaining=40, reset_after=6.0, retry_after=0.0
    )
    wall.now += 3
    assert (await budget.spend("ada", 0)).remaining == 70


async def test_refusal_takes_nothing_and_says_when(budget: ApiBudget, wall: Wall) -> None:
    """Sixty more do not fit; twenty must leak out first, and then they do."""
    await budget.spend("ada", 60)

    refusal = await budget.spend("ada", 60)

    assert (refusal.is_allowed, refusal.remaining, refusal.retry_after) == (False, 40, 2.0)
    wall.now += 2
    assert (await budget.spend("ada", 60)).is_allowed


async def test_viewers_do_not_share(budget: ApiBudget) -> None:
    """One who has spent everything takes nothing from another."""
    await budget.spend("ada", 100)

    assert (await budget.spend("bob", 100)).is_allowed


async def test_dearer_than_everything_passes_on_a_whole_budget_only(budget: ApiBudget) -> None:
    """One request may cost more than the budget holds; it then costs the whole of it."""
    assert (await budget.spend("ada", 1000)).is_allowed
    assert (await budget.spend("ada", 1000)).retry_after == 10.0


async def test_bucket_is_gone_when_it_is_empty(budget: ApiBudget, redis: Redis) -> None:
    """What nobody needs expires by itself."""
    await budget.spend("ada", 50)

    assert 0 < await redis.pttl("crier:budget:ada") <= 5000


async def test_concurrent_spendings_share_one_budget(gate: RedisGate) -> None:
    """Fifty at once, by Redis's own clock, spend no more than there is."""
    budget = ApiBudget(gate=gate, capacity=30, per_second=0.001, on_unguarded=lambda: None)

    spendings = await asyncio.gather(*(budget.spend("ada", 1) for _ in range(50)))

    assert sum(spending.is_allowed for spending in spendings) == 30


@pytest.mark.parametrize("trouble", ["cut", "freeze"])
async def test_without_redis_everybody_may_go_on(
    budget: ApiBudget, road: Any, unguarded: list[int], trouble: str
) -> None:
    """The budget fails open, and counts how often."""
    await budget.spend("ada", 100)
    await road.cut() if trouble == "cut" else road.freeze()

    assert (await budget.spend("ada", 100)).is_allowed
    assert (await budget.spend("ada", 100)).is_allowed
    assert len(unguarded) == 2


async def test_redis_that_refuses_lets_everybody_go_on_and_is_told_of_once(
    budget: ApiBudget, redis: Redis, unguarded: list[int]
) -> None:
    """Out of memory, say; here what lies in the bucket's place is none."""
    await redis.lpush("crier:budget:ada", "nonsense")
    with capture_logs() as told:
        for _ in range(5):
            assert (await budget.spend("ada", 100)).is_allowed
    assert len(unguarded) == 5
    assert [event["event"] for event in told] == ["api_budget.refused"]


async def test_flushed_redis_begins_anew(budget: ApiBudget, redis: Redis) -> None:
    """A lost bucket is an empty one."""
    await budget.spend("ada", 100)
    await redis.flushdb()

    assert (await budget.spend("ada", 100)).is_allowed


STEPS = st.lists(st.tuples(st.integers(0, 150), st.integers(0, 40)), max_size=40)


@given(steps=STEPS, capacity=st.integers(1, 100), per_second=st.sampled_from([1, 4, 10, 25]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bucket_does_as_the_model_does(
    redis_url: str, steps: list[tuple[int, int]], capacity: int, per_second: int
) -> None:
    """Against a bucket of exact fractions: whoever asks when, both allow the same and have the same left."""
    with BlockingRedis.from_url(redis_url) as client:
        client.flushdb()
    asyncio.run(compare(redis_url, steps, capacity, per_second))


async def compare(redis_url: str, steps: list[tuple[int, int]], capacity: int, per_second: int) -> None:
    wall, level = Wall(), 0.0
    gate = RedisGate(url=redis_url, timeout=timedelta(seconds=20))
    budget = ApiBudget(gate=gate, capacity=capacity, per_second=per_second, on_unguarded=pytest.fail, clock=wall)
    for cost, quarters in steps:
        wall.now += quarters / 4
        level = max(0.0, level - quarters / 4 * per_second)
        wanted = min(cost, capacity)
        is_allowed = level + wanted <= capacity
        level += wanted if is_allowed else 0

        spending = await budget.spend("ada", cost)

        assert spending.is_allowed == is_allowed
        assert spending.remaining == int(capacity - level)
        assert spending.reset_after == pytest.approx(level / per_second, abs=1e-5)
    await gate.close()
