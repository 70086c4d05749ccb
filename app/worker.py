"""The worker: claims what is due, publishes it, and does the periodic duties, until it is told to stop.

It sleeps until the next target is due, a notice comes or a second has passed. Told to stop, it claims no more, lets
running publications finish within the grace period, and hands the rest back.
"""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from services.backends.database import Database
from services.backends.database_clock import DatabaseClock
from services.backends.notices import Notices
from services.backends.troubles import Trouble
from services.domain.health import Finding, HealthStatus
from services.domain.ids import new_id
from services.health import LONGEST_SILENCE
from services.publishing.claiming import Claimer
from services.publishing.preparing import Preparer
from services.publishing.publisher import Publisher
from services.queries.claims import Claim
from services.queries.leases import renew_leases
from services.queries.queue import beat, remove_worker
from services.queries.turns import find_next_due

log = structlog.get_logger(__name__)

LONGEST_SLEEP = 1.0
SHORTEST_SLEEP = 0.01
REST = 0.1
"""Seconds from one claim to the next: what becomes due meanwhile is claimed together, by the same few statements."""
AFTER_TROUBLE = 1.0
BATCH = 50
BEAT_EVERY = timedelta(seconds=5)
PREPARE_EVERY = timedelta(seconds=1)

Tasks = dict[asyncio.Task[None], Claim]


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that is due again and again; a failure is logged and the next turn tries anew."""

    name: str
    every: timedelta
    do: Callable[[], Awaitable[Any]]


class Worker:
    """One worker process's work; any number of them run side by side."""

    def __init__(
        self,
        *,
        database: Database,
        clock: DatabaseClock,
        claimer: Claimer,
        publisher: Publisher,
        preparer: Preparer,
        notices: Notices | None,
        duties: list[Duty],
        concurrency: int,
        lease_for: timedelta,
        grace: timedelta,
    ) -> None:
        self.id: UUID = new_id()
        self._database = database
        self._clock = clock
        self._claimer = claimer
        self._publisher = publisher
        self._preparer = preparer
        self._notices = notices
        self._duties = [
            *duties,
            Duty("beat", min(BEAT_EVERY, lease_for / 3), self._beat),
            Duty("prepare", PREPARE_EVERY, self._prepare),
        ]
        self._concurrency = concurrency
        self._lease_for = lease_for
        self._grace = grace
        self._running: Tasks = {}
        self._preparing: Tasks = {}
        self._is_anybody_waiting = False
        """Whether something was due at the last look that found no turn: it may be its turn when something ends."""
        self._rests_until = 0.0
        self._is_stopping = False
        self._wake = asyncio.Event()
        self._trouble = Trouble("worker.claim_failed")
        self._looked_at = time.monotonic()

    @property
    def publishing(self) -> int:
        """How many targets this worker holds now."""
        return len(self._running) + len(self._preparing)

    async def check(self) -> Finding:
        """Whether it still looks for work. One that cannot is to be started anew: others do its work meanwhile."""
        silence = time.monotonic() - self._looked_at
        status = HealthStatus.UNFIT if silence > LONGEST_SILENCE.total_seconds() else HealthStatus.OK
        return Finding(status, f"{self.publishing} in hand, looked for work {silence:.1f} s ago")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain."""
        attendants = [asyncio.create_task(_repeat(duty)) for duty in self._duties]
        attendants.append(asyncio.create_task(self._wake_at(stop)))
        if self._notices is not None:
            attendants.append(asyncio.create_task(self._notices.listen(self._wake.set)))
        log.info("worker.started", worker=str(self.id), concurrency=self._concurrency)
        try:
            await self._set_clock(stop)
            while not stop.is_set():
                await self._work()
            await self._drain()
        finally:
            for attendant in attendants:
                attendant.cancel()
            await asyncio.gather(*attendants, return_exceptions=True)
        await self._say_goodbye()
        log.info("worker.stopped", worker=str(self.id))

    async def _set_clock(self, stop: asyncio.Event) -> None:
        """Before anything is judged: a wall clock may be wrong."""
        while not stop.is_set():
            try:
                await self._clock.set()
            except Exception:
                log.exception("worker.clock_not_set")
                await asyncio.sleep(AFTER_TROUBLE)
            else:
                return

    async def _work(self) -> None:
        self._wake.clear()
        try:
            claims = await self._claim()
            pause = REST if claims else await self._until_due()
            self._looked_at = time.monotonic()
        except Exception as error:
            self._trouble.note(error)
            pause = AFTER_TROUBLE
        else:
            self._trouble.end()
        if self.publishing >= self._concurrency:
            pause = LONGEST_SLEEP
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), pause)
        await self._rest()

    async def _claim(self) -> list[Claim]:
        room = min(self._concurrency - self.publishing, BATCH)
        if room <= 0:
            return []
        claims = await self._claimer.claim_due(self.id, limit=room, busy=_users(self._running))
        for claim in claims:
            self._start(self._running, claim, self._publisher.publish(claim))
        if claims:
            self._rests_until = asyncio.get_running_loop().time() + REST
        return claims

    async def _rest(self) -> None:
        left = self._rests_until - asyncio.get_running_loop().time()
        if left > 0 and not self._is_stopping:
            await asyncio.sleep(left)

    async def _prepare(self) -> None:
        """Begin slow work before its time; half of the room is always left for what is due."""
        room = min(self._concurrency // 2 - len(self._preparing), self._concurrency - self.publishing)
        if room <= 0 or self._is_stopping:
            return
        for claim in await self._claimer.claim_early(self.id, limit=room, busy=_users(self._preparing)):
            self._start(self._preparing, claim, self._preparer.prepare(claim))

    def _start(self, tasks: Tasks, claim: Claim, work: Coroutine[Any, Any, None]) -> None:
        def end(task: asyncio.Task[None]) -> None:
            # Perhaps somebody waited for the room, for their share, or for their account; or its own time has come.
            if self.publishing >= self._concurrency or self._is_anybody_waiting or tasks is self._preparing:
                self._wake.set()
            tasks.pop(task)

        task = asyncio.create_task(_see_off(claim, work))
        tasks[task] = claim
        task.add_done_callback(end)

    async def _until_due(self) -> float:
        async with self._database.connect() as c:
            due = await find_next_due(c, without_users=self._claimer.served(_users(self._running)))
        self._is_anybody_waiting = due.is_anybody_waiting
        return LONGEST_SLEEP if due.seconds is None else min(max(due.seconds, SHORTEST_SLEEP), LONGEST_SLEEP)

    async def _beat(self) -> None:
        async with self._database.begin() as c:
            await beat(c, worker_id=self.id, host=socket.gethostname(), publishing=self.publishing)
            held = [*self._running.values(), *self._preparing.values()]
            await renew_leases(c, held, lease_for=self._lease_for)

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._is_stopping = True
        self._wake.set()

    async def _drain(self) -> None:
        """Let what runs finish within the grace period; what does not is canceled, which hands it back."""
        tasks = [*self._running, *self._preparing]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._grace.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _say_goodbye(self) -> None:
        """Once nothing beats any more: whoever is silent without a good-bye counts as dead."""
        try:
            async with self._database.begin() as c:
                await remove_worker(c, self.id)
        except Exception:
            log.warning("worker.not_removed", worker=str(self.id))


def _users(tasks: Tasks) -> Counter[UUID]:
    return Counter(claim.user_id for claim in tasks.values())


async def _see_off(claim: Claim, work: Coroutine[Any, Any, None]) -> None:
    # One id for all that is logged of this attempt, as a request has; the task's context is its own.
    structlog.contextvars.bind_contextvars(correlation_id=f"{claim.target_id.hex}.{claim.attempt}")
    try:
        await work
    except Exception:
        # The lease runs out and another worker asks the platform what became of it.
        log.exception("worker.publish_failed", target=str(claim.target_id))


async def _repeat(duty: Duty) -> None:
    structlog.contextvars.bind_contextvars(correlation_id=f"duty.{duty.name}")
    trouble = Trouble("worker.duty_failed", duty=duty.name)
    while True:
        try:
            await duty.do()
        except Exception as error:
            trouble.note(error)
        else:
            trouble.end()
        await asyncio.sleep(duty.every.total_seconds())
