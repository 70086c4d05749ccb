"""The budget dealt out locally: fewer round trips, and never more than the budget holds."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from services.backends.redis import RedisGate
from services.domain.limits import Spending
from services.guards.api_budget import ApiBudget
from services.guards.budget_leases import BudgetLeases
from tests.services.guards.breaker_calls import Wall

CAPACITY, PACE = 1_000, 10


class CountedBudget(ApiBudget):
    """Counts how often Redis was asked."""

    asked = 0

    async def spend(self, viewer: str, cost: int) -> Spending:
        self.asked += 1
        return await super().spend(viewer, cost)


@pytest.fixture
def budget(gate: RedisGate, wall: Wall) -> CountedBudget:
    """A thousand at once, ten a second."""
    return CountedBudget(gate=gate, capacity=CAPACITY, per_second=PACE, on_unguarded=lambda: None, clock=wall)


@pytest.fixture
def leases(budget: CountedBudget, wall: Wall) -> BudgetLeases:
    """One process's."""
    return BudgetLeases(budget, clock=wall)


async def test_who_asks_often_costs_few_round_trips(budget: CountedBudget, leases: BudgetLeases) -> None:
    """A hundred requests of cost one: the first alone, then ten at a time."""
    for _ in range(101):
        assert (await leases.spend("ada", 1)).is_allowed

    assert budget.asked == 11


async def test_what_is_leased_is_still_the_viewers(leases: BudgetLeases, wall: Wall) -> None:
    """The answer tells the budget as if every request had asked for itself."""
    told = [(await leases.spend("ada", 1)).remaining for _ in range(25)]

    assert told == list(range(CAPACITY - 1, CAPACITY - 26, -1))
    wall.now += 1
    assert (await leases.spend("ada", 1)).remaining == CAPACITY - 26 + PACE


async def test_who_asks_seldom_loses_nothing(budget: CountedBudget, leases: BudgetLeases, wall: Wall) -> None:
    """No lease is made that would run out unused."""
    for _ in range(5):
        await leases.spend("ada", 7)
        wall.now += 10

    assert (await budget.spend("ada", 0)).remaining == CAPACITY


async def test_requests_side_by_side_pay_once_with_what_was_left(budget: CountedBudget, leases: BudgetLeases) -> None:
    """What a lease did not deal out pays for one of those that find it too small, not for each."""
    for _ in range(2):
        await leases.spend("ada", 4)  # the second takes 36 ahead

    await asyncio.gather(*(leases.spend("ada", 50) for _ in range(4)))

    left_of_leases = (await leases.spend("ada", 1)).remaining - (await budget.spend("ada", 0)).remaining
    assert 0 <= left_of_leases <= CAPACITY // 20
    assert (await leases.spend("ada", 1)).remaining == CAPACITY - 2 * 4 - 4 * 50 - 2


SLOW_PACE = 0.1
"""A unit takes ten seconds: Redis forgets a bucket by its own clock, which does not jump with the test's."""
ASKS = st.lists(st.tuples(st.integers(1, 120), st.sampled_from([0, 10, 50, 200, 700, 1_200, 6_000])), min_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(asks=ASKS)
async def test_leases_cost_the_viewer_nothing(
    gate: RedisGate, redis: Redis, wall: Wall, asks: list[tuple[int, int]]
) -> None:
    """Held against a bucket in which every request pays for itself when it comes: never less is granted or told, and
    more by one lease at most, where time gave back what it had taken before it was dealt out."""
    await redis.flushdb()
    budget = ApiBudget(gate=gate, capacity=CAPACITY, per_second=SLOW_PACE, on_unguarded=lambda: None, clock=wall)
    leases = BudgetLeases(budget, life=timedelta(seconds=1_000), clock=wall)
    most_leased, filled = CAPACITY // 20, 0.0
    for cost, pause in asks * 2:
        spending = await leases.spend("ada", cost)
        if not spending.is_allowed:
            assert filled + cost > CAPACITY
        else:
            filled += cost
            assert filled <= CAPACITY + most_leased
            assert -2 <= spending.remaining - (CAPACITY - filled) <= most_leased + 2
        wall.now += pause
        filled = max(0.0, filled - SLOW_PACE * pause)


async def test_viewers_do_not_share(leases: BudgetLeases) -> None:
    """One's lease is not another's."""
    for _ in range(3):
        await leases.spend("ada", 400)

    assert not (await leases.spend("ada", 400)).is_allowed
    assert (await leases.spend("bob", 400)).is_allowed


async def test_without_redis_nothing_is_leased(gate: RedisGate, road: Any, wall: Wall) -> None:
    """Each request that nobody could check is counted as one."""
    unguarded: list[int] = []
    budget = ApiBudget(
        gate=gate, capacity=CAPACITY, per_second=PACE, on_unguarded=lambda: unguarded.append(1), clock=wall
    )
    leases = BudgetLeases(budget, clock=wall)
    await leases.spend("ada", 1)
    await road.cut()

    assert all([(await leases.spend("ada", 1)).is_allowed for _ in range(5)])
    assert len(unguarded) == 5


STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40), st.sampled_from([0, 0, 0.5, 4])), min_size=40)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
async def test_all_processes_together_never_grant_more_than_the_budget(
    gate: RedisGate, redis: Redis, wall: Wall, steps: list[tuple[int, int, float]]
) -> None:
    """Whatever three processes spend when, from a whole budget on: no more than that and what came back since."""
    await redis.flushdb()
    budget = ApiBudget(gate=gate, capacity=CAPACITY, per_second=PACE, on_unguarded=lambda: None, clock=wall)
    processes = [BudgetLeases(budget, clock=wall) for _ in range(3)]
    began, granted = wall.now, 0
    for process, cost, pause in steps * 3:
        if (await processes[process].spend("ada", cost)).is_allowed:
            granted += cost
        assert granted <= CAPACITY + PACE * (wall.now - began)
        wall.now += pause
