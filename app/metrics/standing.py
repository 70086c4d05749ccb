"""How things stand at this moment: what PostgreSQL and Redis have to be asked for when somebody reads the metrics.

A look is at most `_KEPT_FOR` old and takes `_PATIENCE` at the longest. What could not be looked at is absent rather
than old: an alert on silence is better than a graph that stands still.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

import structlog
from prometheus_client import Gauge

from app.metrics.counting import Metrics
from services.backends.database import Database
from services.backends.deadline import deadline_in, forget_deadline
from services.backends.redis import RedisGate
from services.domain.accounts import Platform
from services.domain.breakers import BreakerState
from services.domain.limits import Window
from services.guards.circuit_breaker import CircuitBreakerService
from services.guards.rate_limiter import RateLimiterService
from services.health import LONGEST_SILENCE
from services.queries.queue import count_waiting, list_workers, read_queue

_log = structlog.get_logger(__name__)

_KEPT_FOR = 2.0
_PATIENCE = timedelta(seconds=1)
_OPEN = ("scheduled", "publishing", "retrying", "blocked", "unconfirmed")


class Standing:
    """Sets the gauges that somebody has to be asked for."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        database: Database,
        gate: RedisGate,
        breakers: CircuitBreakerService,
        limits: RateLimiterService,
        project_windows: Callable[[], Mapping[Platform, Window]],
    ) -> None:
        self._database = database
        self._breakers = breakers
        self._limits = limits
        self._project_windows = project_windows
        self._targets = metrics.gauge("crier_targets")
        self._due = metrics.gauge("crier_targets_due")
        self._waiting = metrics.gauge("crier_targets_waiting")
        self._lateness = metrics.gauge("crier_queue_lateness_seconds")
        self._workers = metrics.gauge("crier_workers_alive")
        self._states = metrics.gauge("crier_breaker_state")
        self._used = metrics.gauge("crier_project_quota_used")
        self._limit = metrics.gauge("crier_project_quota_limit")
        self._failed = metrics.gauge("crier_look_failed")
        metrics.show("crier_redis_up", lambda: not gate.is_away)
        metrics.read("crier_redis_outages_total", lambda: [((), gate.outages)])
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")

    async def look(self) -> None:
        """Bring the gauges up to date, once for all who ask at the same time."""
        is_old = time.monotonic() - self._looked_at >= _KEPT_FOR
        if self._looking is None or (self._looking.done() and is_old):
            self._looked_at = time.monotonic()
            self._looking = asyncio.create_task(self._look())
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        forget_deadline()
        queue = (self._targets, self._waiting, self._due, self._lateness, self._workers)
        await asyncio.gather(
            self._try("queue", self._look_at_queue, queue),
            self._try("breakers", self._look_at_breakers, (self._states,)),
            self._try("quotas", self._look_at_quotas, (self._used, self._limit)),
        )

    async def _try(self, part: str, look: Callable[[], Awaitable[None]], gauges: Sequence[Gauge]) -> None:
        has_failed = False
        try:
            with deadline_in(_PATIENCE):
                async with asyncio.timeout(_PATIENCE.total_seconds()):
                    await look()
        except Exception as error:
            has_failed = True
            _log.info("metrics.look_failed", part=part, reason=type(error).__name__)
            for gauge in gauges:
                _forget(gauge)
        self._failed.labels(part).set(has_failed)

    async def _look_at_queue(self) -> None:
        async with self._database.connect() as connection:
            queue = await read_queue(connection)
            waiting = await count_waiting(connection)
            workers = await list_workers(connection)
        for status in _OPEN:
            self._targets.labels(status.upper()).set(getattr(queue, status))
        self._waiting.clear()
        for code, count in waiting.items():
            self._waiting.labels(code.value).set(count)
        self._due.set(queue.due)
        self._lateness.set(queue.lateness_seconds)
        self._workers.set(sum(one.as_of - one.last_beat_at <= LONGEST_SILENCE for one in workers))

    async def _look_at_breakers(self) -> None:
        for stats in await self._breakers.load_stats([platform.breaker for platform in Platform]):
            for state in BreakerState:
                self._states.labels(stats.name, state.value).set(stats.state is state)

    async def _look_at_quotas(self) -> None:
        windows = self._project_windows()
        uses = await self._limits.peek(list(windows.values()))
        for platform, use in zip(windows, uses, strict=True):
            self._used.labels(platform.value).set(use.used)
            self._limit.labels(platform.value).set(use.window.limit)


def _forget(gauge: Gauge) -> None:
    """Nothing is known: series with labels go, a single one is no number."""
    gauge.clear()
    if not gauge._labelnames:  # the library tells nobody
        gauge.set(float("nan"))
