"""The objects that count, one set per process. What somebody else counts already is read, not counted again."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from prometheus_client import CollectorRegistry, Gauge, PlatformCollector, ProcessCollector

from app.metrics.catalogue import CATALOGUE
from app.metrics.operations import RequestMeter
from app.metrics.tallies import Count, Labels, Read, Spread
from services.backends.replica import Replica
from services.domain.accounts import Platform
from services.domain.breakers import Transition
from services.domain.caching import CacheStats
from services.domain.health import PoolUsage
from services.domain.posts import Attempt

T = TypeVar("T")

_LOOK_AT_LOOP_EVERY = 0.5
_CACHE_RESULTS = ("hits", "stale", "misses", "errors", "too_large")


class Metrics:
    """One registry per process; every metric in it is in the catalogue."""

    def __init__(self, *, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.gauge("crier_info").labels(version).set(1)
        self.requests = RequestMeter(
            operations=self._count("crier_operations_total"),
            seconds=self._spread("crier_operation_seconds"),
            statements=self._spread("crier_operation_statements"),
            errors=self._count("crier_errors_total"),
            http=self._count("crier_http_requests_total"),
            http_seconds=self._spread("crier_http_seconds"),
            events=self._count("crier_subscription_events_total").add,
        )
        self.show("crier_requests_in_progress", lambda: self.requests.in_progress)
        self._batches = self._spread("crier_loader_batch_size")
        self._unguarded = self._count("crier_api_budget_unguarded_total")
        self._transitions = self._count("crier_breaker_transitions_total")
        self._refusals = self._count("crier_quota_refusals_total")
        self._claimed = self._spread("crier_claim_lateness_seconds")
        self._delays = self._spread("crier_publication_delay_seconds")
        self._attempts = self._count("crier_attempts_total")
        self._steps = self._spread("crier_step_seconds")
        self._rescued = self._count("crier_targets_rescued_total")
        self._failed_duties = self._count("crier_duty_failures_total")
        self._lag = self._spread("crier_event_loop_lag_seconds")

    def note_batch(self, loader: str, size: int) -> None:
        """A dataloader read so many keys at once."""
        self._batches.observe(size, loader)

    def note_unguarded(self) -> None:
        """An operation ran without its budget being looked at."""
        self._unguarded.add()

    def note_transition(self, breaker: str, change: Transition) -> None:
        """A breaker moved."""
        self._transitions.add(breaker, change.to_state.value)

    def note_looked_at(self, platform: Platform, late_by: float) -> None:
        """A worker came to a due target, so many seconds after its moment."""
        self._claimed.observe(max(0.0, late_by), platform.value)

    def note_refused(self, platform: Platform) -> None:
        """A due target found no slot."""
        self._refusals.add(platform.value)

    def note_attempt(self, platform: Platform, attempt: Attempt) -> None:
        """A line was written into the ledger."""
        code = "none" if attempt.code is None else attempt.code.value
        self._attempts.add(platform.value, attempt.outcome.value, code)
        seconds = (attempt.ended_at - attempt.started_at).total_seconds()
        self._steps.observe(max(0.0, seconds), platform.value, attempt.step)

    def note_published(self, platform: Platform, planned: datetime, seen: datetime) -> None:
        """A post is in front of people."""
        self._delays.observe((seen - planned).total_seconds(), platform.value)

    def note_rescued(self, targets: int) -> None:
        """Leases had run out."""
        self._rescued.add(amount=targets)

    def watched(self, name: str, duty: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
        """The same duty, its failures counted."""

        async def do() -> T:
            try:
                return await duty()
            except Exception:
                self._failed_duties.add(name)
                raise

        return do

    def show_pool(self, usage: Callable[[], PoolUsage]) -> None:
        """Show the database pool, read whenever somebody looks."""
        self.show("crier_pool_in_use", lambda: usage().in_use)
        self.show("crier_pool_idle", lambda: usage().idle)
        self.show("crier_pool_waiting", lambda: usage().waiting)
        self.show("crier_pool_maximum", lambda: usage().maximum)
        self.read("crier_pool_waits_total", lambda: [((), usage().waits)])
        self.read("crier_pool_wait_seconds_total", lambda: [((), usage().waited_seconds)])
        self.read("crier_pool_refused_total", lambda: [((), usage().refused)])

    def show_worker(self, publishing: Callable[[], int], *, most: int) -> None:
        """Show how many targets this worker holds, and how many it may."""
        self.show("crier_publishing", publishing)
        self.show("crier_worker_concurrency", lambda: most)

    def show_cache(self, stats: Callable[[], CacheStats]) -> None:
        """Show what the cache did for each resolver."""
        self.read(
            "crier_cache_answers_total",
            lambda: [
                ((one.resolver, result), getattr(one, result)) for one in stats().resolvers for result in _CACHE_RESULTS
            ],
        )

    def show_replica(self, replica: Replica | None) -> None:
        """Show how far behind the reader is, and whose answers pages are."""
        self.show("crier_reader_lag_seconds", lambda: float("nan") if replica is None else replica.behind)
        self.read(
            "crier_reader_answers_total",
            lambda: [] if replica is None else [((by.value,), count) for by, count in replica.answers.items()],
        )

    def show(self, name: str, value: Callable[[], float]) -> None:
        """A gauge that is read whenever somebody looks."""
        self.gauge(name).set_function(value)

    def read(self, name: str, values: Callable[[], Iterable[tuple[Labels, float]]]) -> None:
        """A counter that somebody else keeps, by its labels."""
        self.registry.register(Read(CATALOGUE[name], values))

    def gauge(self, name: str) -> Gauge:
        """A gauge as the catalogue has it."""
        metric = CATALOGUE[name]
        return Gauge(name, metric.meaning, metric.labels, registry=self.registry)

    @asynccontextmanager
    async def watching_loop(self) -> AsyncIterator[None]:
        """While this lasts, see how late the event loop wakes up."""
        task = asyncio.create_task(self._watch_loop())
        try:
            yield
        finally:
            task.cancel()

    async def _watch_loop(self) -> None:
        while True:
            due = time.perf_counter() + _LOOK_AT_LOOP_EVERY
            await asyncio.sleep(_LOOK_AT_LOOP_EVERY)
            self._lag.observe(max(0.0, time.perf_counter() - due))

    def _count(self, name: str) -> Count:
        count = Count(CATALOGUE[name])
        self.registry.register(count)
        return count

    def _spread(self, name: str) -> Spread:
        spread = Spread(CATALOGUE[name])
        self.registry.register(spread)
        return spread
