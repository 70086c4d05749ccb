"""Quotas against a reference model: any order of claims, ends, returns and sweeps, at any pace.

The model keeps slots in a dictionary and counts them one by one. Beside it a journal notes when people saw each
publication, and no span of a window's length may ever show more of them than its limit.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from services.backends.database import Database
from services.domain.limits import Window
from services.guards.quotas import Quotas

NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
LONGEST_CALL = timedelta(seconds=200)
MICROSECOND = timedelta(microseconds=1)
MOMENT = timedelta(milliseconds=1)
"""By which retries, each a microsecond after the last, may run ahead of a clock that stands still."""
T = TypeVar("T")

DELIVERIES = st.sampled_from([f"d{number}" for number in range(9)])
SECONDS = st.integers(1, 70).map(lambda seconds: timedelta(seconds=seconds))
LENGTHS = st.integers(5, 90).map(lambda seconds: timedelta(seconds=seconds))


@dataclass
class Slot:
    """One delivery in one window, in the model."""

    taken_at: datetime
    ended_at: datetime | None = None
    is_running: bool = True

    def counts_until(self, window: Window) -> datetime:
        if self.is_running or self.ended_at is None:
            return self.taken_at + LONGEST_CALL + window.length
        return self.ended_at + window.length

    def ends_running(self, window: Window, now: datetime) -> datetime:
        """When it stops to count, should its call end now."""
        return min(now + window.length, self.counts_until(window)) if self.is_running else self.counts_until(window)


class QuotasMachine(RuleBasedStateMachine):
    """One database and one model, treated alike."""

    runner: asyncio.Runner
    pool: Database

    def __init__(self) -> None:
        super().__init__()
        self.quotas = Quotas(longest_call=LONGEST_CALL, clock="(SELECT now FROM clock_of_tests)")
        self.now = NOON
        self.slots: dict[tuple[str, str], Slot] = {}
        self.calls: dict[str, datetime] = {}
        self.journal: dict[str, list[tuple[datetime, str]]] = {}

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    async def call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        async with self.pool.begin() as connection:
            return await method(connection, *args, **kwargs)

    async def tell_time(self) -> None:
        async with self.pool.begin() as connection:
            await connection.execute(text("UPDATE clock_of_tests SET now = :now"), {"now": self.now})

    @initialize(
        limits=st.lists(st.integers(0, 4), min_size=3, max_size=3), lengths=st.lists(LENGTHS, min_size=3, max_size=3)
    )
    def begin(self, limits: list[int], lengths: list[timedelta]) -> None:
        self.windows = [
            Window(f"w{n}", limit, length) for n, (limit, length) in enumerate(zip(limits, lengths, strict=True))
        ]
        self.journal = {window.key: [] for window in self.windows}
        self.run(self.empty())

    async def empty(self) -> None:
        async with self.pool.begin() as connection:
            await connection.execute(text("DELETE FROM quota_slots"))
        await self.tell_time()

    @rule(span=SECONDS)
    def let_time_pass(self, span: timedelta) -> None:
        self.now += span
        self.run(self.tell_time())

    @rule(batch=st.lists(st.tuples(DELIVERIES, st.sets(st.integers(0, 2), min_size=1)), min_size=1, max_size=6))
    def claim(self, batch: list[tuple[str, set[int]]]) -> None:
        """A batch is claimed; of one delivery the last wish counts, and its call must not be running."""
        wishes = {delivery: wanted for delivery, wanted in batch if delivery not in self.calls}
        requests = [(name, [self.windows[n] for n in sorted(wanted)]) for name, wanted in wishes.items()]
        expected: dict[str, list[Window]] = {}
        for delivery, windows in requests:
            full = [w for w in windows if not self.holds(delivery, w) and self.used(w) >= w.limit]
            if full:
                expected[delivery] = full
                continue
            self.calls[delivery] = self.now
            for window in windows:
                slot = self.slots.setdefault((window.key, delivery), Slot(self.now))
                slot.taken_at = max(self.now, slot.ended_at + MICROSECOND) if slot.ended_at else self.now
                slot.is_running = True

        refusals = self.run(self.call(self.quotas.take_many, requests))

        assert set(refusals) == set(expected)
        turns: dict[str, int] = {}
        for delivery, full in expected.items():
            refusal = refusals[delivery]
            assert refusal.window in full
            assert refusal.retry_after == pytest.approx((refusal.free_at - self.now).total_seconds())
            for window in full:
                turns[window.key] = turns.get(window.key, 0) + 1
            self.check_turn(refusal.window, refusal.free_at, turns[refusal.window.key])

    def check_turn(self, window: Window, free_at: datetime, turn: int) -> None:
        """The first refused is called when one place is free, the second at the second, as far as can be foretold."""
        assert self.now < free_at <= self.now + window.length + MOMENT
        if turn == 1 and window.limit and not any(s.taken_at >= self.now for s in self.slots.values()):
            ends = [slot.ends_running(window, self.now) for slot in self.living(window)]
            assert sum(end > free_at for end in ends) < window.limit <= sum(end >= free_at for end in ends)

    @rule(delivery=DELIVERIES, shown=st.floats(0, 1))
    def end(self, delivery: str, shown: float) -> None:
        """The call is over; people saw the post at some moment while it ran."""
        self.run(self.call(self.quotas.end, [delivery]))
        began = self.calls.pop(delivery, None)
        for (key, name), slot in self.slots.items():
            if name == delivery and slot.is_running:
                slot.is_running, slot.ended_at = False, max(self.now, slot.taken_at)
                if began is not None and began + LONGEST_CALL > self.now:
                    self.journal[key].append((began + (self.now - began) * shown, delivery))

    @rule(delivery=DELIVERIES)
    def give_back(self, delivery: str) -> None:
        self.run(self.call(self.quotas.give_back, [delivery]))
        self.calls.pop(delivery, None)
        for (key, name), slot in list(self.slots.items()):
            if name == delivery and slot.is_running:
                slot.is_running = False
                if slot.ended_at is None:
                    del self.slots[key, name]

    @rule(most=st.integers(1, 5))
    def sweep(self, most: int) -> None:
        self.run(self.call(self.quotas.sweep, most=most))

    @invariant()
    def counts_agree(self) -> None:
        uses = self.run(self.call(self.quotas.count, self.windows)) if hasattr(self, "windows") else []
        for use in uses:
            ends = sorted(slot.ends_running(use.window, self.now) for slot in self.living(use.window))
            assert use.used == len(ends)
            assert use.reset_at == (
                ends[max(len(ends) - use.window.limit, 0)] if ends and use.window.limit else use.reset_at
            )

    def teardown(self) -> None:
        """The promise itself: no span of a window's length, wherever it starts, showed more than its limit."""
        for window in getattr(self, "windows", []):
            shown = self.journal[window.key]
            for start, _ in shown:
                names = {name for at, name in shown if start <= at < start + window.length}
                assert len(names) <= window.limit

    def living(self, window: Window) -> Iterator[Slot]:
        for (key, _), slot in self.slots.items():
            if key == window.key and slot.counts_until(window) > self.now:
                yield slot

    def used(self, window: Window) -> int:
        return len(list(self.living(window)))

    def holds(self, delivery: str, window: Window) -> bool:
        slot = self.slots.get((window.key, delivery))
        return slot is not None and slot.counts_until(window) > self.now


def test_quotas_do_as_the_model_does(database_url: str) -> None:
    """Whatever happens in whatever order, both hold the same, and the promise holds."""
    with asyncio.Runner() as runner:
        pool = Database(url=database_url, pool_min=1, pool_max=1)
        runner.run(pool.open())
        QuotasMachine.runner, QuotasMachine.pool = runner, pool
        runner.run(make_clock(pool))
        try:
            run_state_machine_as_test(
                QuotasMachine,
                settings=settings(
                    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
                ),
            )
        finally:
            runner.run(clean_up(pool))


async def make_clock(pool: Database) -> None:
    async with pool.begin() as connection:
        await connection.execute(text("CREATE TABLE clock_of_tests (now timestamptz NOT NULL)"))
        await connection.execute(text("INSERT INTO clock_of_tests VALUES (:now)"), {"now": NOON})


async def clean_up(pool: Database) -> None:
    async with pool.begin() as connection:
        await connection.execute(text("DROP TABLE clock_of_tests"))
        await connection.execute(text("DELETE FROM quota_slots"))
    await pool.close()
