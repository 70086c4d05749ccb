"""Circuit breakers against a reference machine: calls of several processes that begin and end in any order.

The machine is written down once more, in the plainest way, with a list of calls for the failure rate. Once it is
compared with two processes that share Redis, and once with a single process that has none.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis.asyncio import Redis

from services.backends.redis import RedisGate
from services.domain.breakers import BreakerPolicy, Verdict
from services.domain.errors import CircuitOpen
from services.guards.circuit_breaker import CircuitBreakerService

NAME = "facebook-api"
POLICY = BreakerPolicy(
    threshold=2,
    open_for=timedelta(seconds=30),
    rate=0.5,
    rate_window=timedelta(seconds=20),
    minimum_calls=5,
    probe_lease=timedelta(seconds=8),
)
BUCKET = 2
"""Seconds: a tenth of the window."""
T = TypeVar("T")


@dataclass
class Began:
    """A call of the reference machine."""

    generation: int
    failures: int
    bucket: int
    is_probe: bool
    has_failed: bool = False


@dataclass
class Reference:
    """What a breaker should do."""

    has_rate: bool
    state: str = "CLOSED"
    generation: int = 0
    failures: int = 0
    opened_at: float = 0
    probe: Began | None = None
    probe_until: float = 0
    is_forced: bool = False
    calls: list[Began] = field(default_factory=list)
    moves: list[tuple[str, str]] = field(default_factory=list)

    def retry_after(self, now: float) -> float | None:
        if self.state == "CLOSED":
            return 0
        if self.is_forced:
            return None
        until = self.opened_at + 30 if self.state == "OPEN" else self.probe_until if self.probe else 0
        return max(0, until - now)

    def begin(self, now: float) -> Began | None:
        if self.retry_after(now) != 0:
            return None
        if self.state == "OPEN":
            self.move("HALF_OPEN", now)
        call = Began(self.generation, self.failures, int(now / BUCKET), is_probe=self.state == "HALF_OPEN")
        if call.is_probe:
            self.probe, self.probe_until = call, now + 8
        else:
            self.calls.append(call)
        return call

    def end(self, call: Began, verdict: Verdict, now: float) -> None:
        if call.generation != self.generation or (self.state != "CLOSED" and self.probe is not call):
            return
        if self.state == "CLOSED":
            self.count(call, verdict, now)
        elif verdict is Verdict.SUCCESS:
            self.move("CLOSED", now)
        elif verdict is Verdict.FAILURE:
            self.failures += 1
            self.move("OPEN", now)
        else:
            self.probe = None

    def count(self, call: Began, verdict: Verdict, now: float) -> None:
        if verdict is Verdict.SUCCESS and call.failures:
            self.failures = 0
        if verdict is Verdict.NEUTRAL:
            self.calls.remove(call)
        if verdict is Verdict.FAILURE:
            call.has_failed = True
            self.failures += 1
            lately = [call for call in self.calls if call.bucket > int(now / BUCKET) - 10]
            failed = sum(call.has_failed for call in lately)
            if self.failures >= 2 or (self.has_rate and len(lately) >= 5 and 2 * failed >= len(lately)):
                self.move("OPEN", now)

    def move(self, to: str, now: float, *, forced: bool = False) -> None:
        self.moves.append((self.state, to))
        self.state, self.is_forced, self.probe, self.calls = to, forced, None, []
        self.generation += 1
        if to == "OPEN":
            self.opened_at = now
        if to == "CLOSED":
            self.failures = 0

    def flush(self) -> None:
        self.state, self.is_forced, self.probe, self.calls, self.failures = "CLOSED", False, None, [], 0
        self.generation += 1


@dataclass
class Running:
    """A real call that waits for its verdict."""

    task: asyncio.Task[Any]
    verdict: asyncio.Future[Verdict]
    began: Began


class Fault(Exception):
    """What a call raises whose verdict is not a success."""


def judge(end: object) -> Verdict:
    return Verdict(end.args[0]) if isinstance(end, Fault) else Verdict.SUCCESS


class BreakerMachine(RuleBasedStateMachine):
    """The real breaker and the reference, treated alike."""

    runner: asyncio.Runner
    redis: Redis
    redis_url: str
    is_shared: bool

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_772_366_400.0
        self.running: list[Running] = []
        self.reference = Reference(has_rate=self.is_shared)
        self.moves: list[tuple[str, str]] = []
        self.run(self.build())

    async def build(self) -> None:
        if self.is_shared:
            await self.redis.flushdb()
        self.gates = [
            RedisGate(url=self.redis_url, timeout=timedelta(seconds=20)) for _ in range(2 if self.is_shared else 1)
        ]
        self.services = [
            CircuitBreakerService(
                gate=gate,
                policy=POLICY,
                clock=lambda: self.now,
                on_transition=lambda _, change: self.moves.append((change.from_state, change.to_state)),
            )
            for gate in self.gates
        ]

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @rule(seconds=st.sampled_from([0.25, 1, 3, 8, 8, 30, 30]))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds

    @rule(process=st.integers(0, 1))
    def begin(self, process: int) -> None:
        began = self.reference.begin(self.now)
        running = self.run(self.start(self.services[process % len(self.services)], began))

        assert (running is not None) == (began is not None)
        if running is not None:
            self.running.append(running)

    async def start(self, service: CircuitBreakerService, began: Began | None) -> Running | None:
        verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        is_running = asyncio.Event()

        async def call() -> None:
            is_running.set()
            if await verdict is not Verdict.SUCCESS:
                raise Fault(verdict.result())

        task = asyncio.create_task(service.execute(NAME, call, judge=judge))
        waiting = asyncio.create_task(is_running.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if is_running.is_set():
            assert began is not None
            return Running(task, verdict, began)
        waiting.cancel()
        assert isinstance(task.exception(), CircuitOpen)
        return None

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 30), verdict=st.sampled_from(["SUCCESS", "FAILURE", "FAILURE", "NEUTRAL", "cancel"]))
    def end(self, which: int, verdict: str) -> None:
        running = self.running.pop(which % len(self.running))
        self.reference.end(running.began, Verdict.NEUTRAL if verdict == "cancel" else Verdict(verdict), self.now)
        self.run(self.finish(running, verdict))

    async def finish(self, running: Running, verdict: str) -> None:
        if verdict == "cancel":
            running.task.cancel()
        else:
            running.verdict.set_result(Verdict(verdict))
        await asyncio.wait({running.task})
        assert running.task.cancelled() == (verdict == "cancel")
        if verdict in ("FAILURE", "NEUTRAL"):
            assert isinstance(running.task.exception(), Fault)

    @precondition(lambda self: self.is_shared)
    @rule(process=st.integers(0, 1), what=st.sampled_from(["force_open", "force_close", "reset"]))
    def force(self, process: int, what: str) -> None:
        self.run(getattr(self.services[process], what)(NAME, by="ada"))
        self.reference.move("OPEN" if what == "force_open" else "CLOSED", self.now, forced=what == "force_open")

    @precondition(lambda self: self.is_shared)
    @rule()
    def flush(self) -> None:
        self.now += 0.25  # a generation is told from one before a flush by the millisecond in which it began
        self.run(self.redis.flushdb())
        self.reference.flush()

    @invariant()
    def both_agree(self) -> None:
        for service in self.services:
            stats = self.run(service.get_stats(NAME))
            assert (stats.state, stats.failures) == (self.reference.state, self.reference.failures)
            assert stats.retry_after == self.reference.retry_after(self.now)
            assert stats.is_stale != self.is_shared
        assert self.moves == self.reference.moves

    def teardown(self) -> None:
        self.run(self.leave())

    async def leave(self) -> None:
        for running in self.running:
            running.task.cancel()
        if self.running:
            await asyncio.wait({running.task for running in self.running})
        for gate in self.gates:
            await gate.close()


@pytest.mark.parametrize("is_shared", [True, False], ids=["redis", "memory"])
def test_breaker_does_as_the_reference_does(redis_url: str, is_shared: bool) -> None:
    """Whatever begins and ends in whatever order, both pass the same calls and stand the same."""
    with asyncio.Runner() as runner:
        BreakerMachine.runner = runner
        BreakerMachine.is_shared = is_shared
        BreakerMachine.redis = Redis.from_url(redis_url)
        BreakerMachine.redis_url = redis_url if is_shared else "redis://127.0.0.1:1"
        try:
            run_state_machine_as_test(
                BreakerMachine,
                settings=settings(
                    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
                ),
            )
        finally:
            runner.run(clean_up(BreakerMachine.redis))


async def clean_up(redis: Redis) -> None:
    await redis.flushdb()
    await redis.aclose()
