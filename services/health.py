"""Health: what this process and everything it needs are doing, found out without ever waiting long.

Every check runs by itself and has one second. One that hangs is left to itself, reported as such, and not begun again
before it has ended: a frozen dependency costs one task, however often somebody asks.

Only what makes this process unfit to serve says so. Late posts, a dead worker, a Redis that is away are `degraded`:
taking the API out of service would help nobody.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from services.backends.database import Database
from services.backends.deadline import deadline_in, forget_deadline
from services.backends.redis import RedisGate
from services.domain.breakers import BreakerState
from services.domain.errors import CrierError, Overloaded
from services.domain.health import Finding, HealthCheck, HealthReport, HealthStatus
from services.guards.circuit_breaker import CircuitBreakerService
from services.queries.queue import list_workers, read_queue
from services.queries.server import find_revision

_log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[Finding]]

LONGEST_SILENCE = timedelta(seconds=30)
"""After which a worker counts as dead; it beats every few seconds."""
MISSED_FOR = timedelta(minutes=10)
"""So long a worker that died without a word is told of, others beating or not; then it counts as replaced."""
LATEST = timedelta(seconds=60)
"""How late a due post may be before somebody should look."""


class HealthService:
    """Checks everything at most once per `kept_for`, whoever asks and however often."""

    def __init__(
        self,
        *,
        database: Database,
        gate: RedisGate,
        breakers: CircuitBreakerService,
        version: str,
        revision: str,
        clock: Callable[[], float] = time.monotonic,
        longest_silence: timedelta = LONGEST_SILENCE,
        kept_for: timedelta = timedelta(seconds=1),
        patience: timedelta = timedelta(seconds=1),
    ) -> None:
        """`revision` is the newest migration this code knows."""
        self._database = database
        self._gate = gate
        self._breakers = breakers
        self._version = version
        self._revision = revision
        self._clock = clock
        self._longest_silence = longest_silence
        self._kept_for = kept_for.total_seconds()
        self._patience = patience
        self._is_stopping = False
        self._checking: asyncio.Task[tuple[HealthCheck, ...]] | None = None
        self._checked_at = 0.0
        self._running: dict[str, asyncio.Task[Finding]] = {}
        self._checks: dict[str, tuple[Check, HealthStatus]] = {
            "database": (self._check_database, HealthStatus.UNFIT),
            "redis": (self._check_redis, HealthStatus.DEGRADED),
            "migrations": (self._check_migrations, HealthStatus.DEGRADED),
            "workers": (self._check_workers, HealthStatus.DEGRADED),
            "queue": (self._check_queue, HealthStatus.DEGRADED),
            "pool": (self._check_pool, HealthStatus.DEGRADED),
            "breakers": (self._check_breakers, HealthStatus.DEGRADED),
        }

    @property
    def version(self) -> str:
        """Crier's own version."""
        return self._version

    @property
    def is_stopping(self) -> bool:
        """Whether this process is on its way out."""
        return self._is_stopping

    def begin_stopping(self) -> None:
        """From now on this process is unfit: whoever sends it requests should send them elsewhere."""
        self._is_stopping = True

    def watch(self, name: str, check: Check, at_worst: HealthStatus) -> None:
        """Look at a part that only this process has, too; `at_worst` is what its failure means."""
        self._checks[name] = (check, at_worst)

    async def check(self) -> HealthReport:
        """The state of everything, at most `kept_for` old; takes `patience` at the longest."""
        is_old = self._clock() - self._checked_at >= self._kept_for
        if self._checking is None or (self._checking.done() and is_old):
            self._checked_at = self._clock()
            self._checking = asyncio.create_task(self._check_all())
        checks = await asyncio.shield(self._checking)
        return HealthReport(self._version, (self._check_process(), *checks))

    def _check_process(self) -> HealthCheck:
        if self._is_stopping:
            return HealthCheck("process", HealthStatus.UNFIT, 0.0, "shutting down")
        return HealthCheck("process", HealthStatus.OK, 0.0)

    async def _check_all(self) -> tuple[HealthCheck, ...]:
        forget_deadline()  # many may wait for this, and each has a time of its own
        return tuple(await asyncio.gather(*(self._check_one(name, *check) for name, check in self._checks.items())))

    async def _check_one(self, name: str, check: Check, at_worst: HealthStatus) -> HealthCheck:
        """One check's finding; `at_worst` is what its failure means."""
        began = self._clock()
        task = self._running.get(name)
        if task is None or task.done():
            task = self._running[name] = asyncio.create_task(self._find(check, at_worst))
        await asyncio.wait({task}, timeout=self._patience.total_seconds())
        silence = Finding(at_worst, f"no answer within {self._patience.total_seconds():g} s")
        finding = task.result() if task.done() else silence
        return HealthCheck(name, finding.status, round(1000 * (self._clock() - began), 2), finding.detail)

    async def _find(self, check: Check, at_worst: HealthStatus) -> Finding:
        try:
            with deadline_in(self._patience):
                return await check()
        except Overloaded as error:
            return Finding(HealthStatus.DEGRADED, error.message)  # it is there, and busy
        except CrierError as error:
            return Finding(at_worst, error.message)
        except Exception:
            _log.exception("a health check failed")
            return Finding(at_worst, "the check failed")

    async def _check_database(self) -> Finding:
        async with self._database.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")
        return Finding(HealthStatus.OK)

    async def _check_redis(self) -> Finding:
        await self._gate.run(lambda client: client.ping())
        return Finding(HealthStatus.OK)

    async def _check_migrations(self) -> Finding:
        async with self._database.connect() as connection:
            revision = await find_revision(connection)
        if revision == self._revision:
            return Finding(HealthStatus.OK, revision)
        return Finding(HealthStatus.DEGRADED, f"the database is at {revision}, this process at {self._revision}")

    async def _check_workers(self) -> Finding:
        async with self._database.connect() as connection:
            workers = await list_workers(connection)
        silences = [worker.as_of - worker.last_beat_at for worker in workers]
        alive = [silence for silence in silences if silence <= self._longest_silence]
        if not alive:
            return Finding(HealthStatus.DEGRADED, f"no worker beat for {self._longest_silence.total_seconds():g} s")
        detail = f"{len(alive)} alive, last beat {min(alive).total_seconds():.1f} s ago"
        dead = [silence for silence in silences if self._longest_silence < silence <= MISSED_FOR]
        if dead:
            return Finding(HealthStatus.DEGRADED, f"{detail}; {len(dead)} silent for {max(dead).total_seconds():.0f} s")
        return Finding(HealthStatus.OK, detail)

    async def _check_queue(self) -> Finding:
        async with self._database.connect() as connection:
            queue = await read_queue(connection)
        detail = f"{queue.due} due, the oldest for {queue.lateness_seconds:.0f} s"
        is_late = queue.lateness_seconds > LATEST.total_seconds()
        return Finding(HealthStatus.DEGRADED if is_late else HealthStatus.OK, detail)

    async def _check_pool(self) -> Finding:
        usage = self._database.usage()
        detail = f"{usage.in_use} of {usage.maximum} in use, {usage.idle} idle, {usage.waiting} waiting"
        return Finding(HealthStatus.OK, detail)

    async def _check_breakers(self) -> Finding:
        """What platforms do is no fault of this process and passes by itself: it is said, not judged. A breaker that is
        held open by hand stays so until somebody remembers it."""
        stats = [one for one in await self._breakers.list_stats() if one.state is not BreakerState.CLOSED]
        troubled = [f"{one.name} {one.state.value}{' by hand' if one.forced_by else ''}" for one in stats]
        is_held = any(one.forced_by for one in stats)
        return Finding(HealthStatus.DEGRADED if is_held else HealthStatus.OK, ", ".join(troubled) or "all closed")
