"""A streaming replica of the database, which answers pages while it is at most a second behind.

How far behind is looked at several times a second, by one clock, ours: we ask the database how far it has written, and
the replica how far it has come. The last moment whose position the replica has passed is its horizon: it shows whatever
was committed before. That needs no trust in clocks, nor in what a replica says of a stream that has silently ended.

Whoever has just changed something, and whoever cannot be told from them, reads from the database itself; so does
everybody while the replica is away, behind, busy or slow. None of that is an error.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.backends.database import Database
from services.backends.deadline import deadline_in
from services.backends.faults import DatabaseAway
from services.backends.recent_writes import has_just_written
from services.backends.redis import RedisGate
from services.backends.troubles import Trouble
from services.domain.errors import Overloaded, TimedOut, Unavailable
from services.domain.health import Finding, HealthStatus

MOST_BEHIND = timedelta(seconds=1)
_LOOK_EVERY = 0.2
_PATIENCE = timedelta(seconds=1)
"""A replica that takes longer to answer is done without."""
_KEPT_POSITIONS = 600

# Which cluster it is, and the position up to which all is there.
_WRITTEN = text(
    "SELECT (SELECT system_identifier FROM pg_control_system()), (pg_current_wal_flush_lsn() - '0/0')::bigint"
)
_REPLAYED = text(
    "SELECT (SELECT system_identifier FROM pg_control_system()),"
    " CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END"
)


class Answered(StrEnum):
    """Who answered a page, and why."""

    READER = "reader"
    WRITTEN = "written"
    """The database: its owner has just changed something."""
    BEHIND = "behind"
    """The database: the replica is away, or too far behind."""
    FAILED = "failed"
    """The database, after the replica had failed to."""


class Replica:
    """Answers pages in the database's place, on a pool of its own.

    `lookouts` are two more databases of one connection each, to the writer and to the reader: how far behind a replica
    is must not depend on how busy the pools are, or the writer would get the pages just when it has most to do.
    """

    def __init__(
        self,
        *,
        reader: Database,
        writer: Database,
        lookouts: tuple[Database, Database],
        gate: RedisGate,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._lookouts = lookouts
        self._gate = gate
        self._clock = clock
        self._positions: deque[tuple[float, int]] = deque(maxlen=_KEPT_POSITIONS)
        """When we asked the writer, and how far it was then; only what the reader has still to pass."""
        self._horizon = float("-inf")
        self._is_warm = False
        self._watching: asyncio.Task[None] | None = None
        self._trouble = Trouble("replica.cannot_be_used")
        self._answers: Counter[Answered] = Counter()

    async def open(self) -> None:
        """Begin to look; nobody waits for a replica."""
        self._watching = asyncio.create_task(self._watch(), context=Context())

    async def close(self) -> None:
        """Look no more, and close every connection."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        for database in (self._reader, *self._lookouts):
            await database.close()

    @property
    def behind(self) -> float:
        """Seconds, at most: everything that is older is there. Infinite where it was never seen."""
        return self._clock() - self._horizon

    @property
    def answers(self) -> Mapping[Answered, int]:
        """Pages since the start, by who answered them."""
        return self._answers

    async def read_value(self, sql: str, values: Sequence[Any], *, owner: UUID) -> Any:
        """As `Database.read_value`, for what shows things of one owner: never without what this owner was told of."""
        why = await self._why_not(owner)
        if why is None:
            try:
                with deadline_in(_PATIENCE):
                    answer = await self._reader.read_value(sql, values)
            except DatabaseAway:
                self._horizon = float("-inf")  # nobody else tries before the next look
            except (Overloaded, TimedOut):  # busy; or what was read has just been cleaned up
                pass
            else:
                self._answers[Answered.READER] += 1
                return answer
        self._answers[why or Answered.FAILED] += 1
        return await self._writer.read_value(sql, values)

    async def check(self) -> Finding:
        """For health: it is done without, but somebody should look."""
        if self.behind <= MOST_BEHIND.total_seconds():
            return Finding(HealthStatus.OK, f"{self.behind:.1f} s behind at most")
        return Finding(HealthStatus.DEGRADED, "the reader is away or too far behind: pages are read from the writer")

    async def _why_not(self, owner: UUID) -> Answered | None:
        if self.behind > MOST_BEHIND.total_seconds():
            return Answered.BEHIND
        return Answered.WRITTEN if await has_just_written(self._gate, owner) else None

    async def _watch(self) -> None:
        while True:
            try:
                if not self._is_warm:
                    await self._reader.open()
                    self._is_warm = True
                with deadline_in(_PATIENCE):
                    await self._look()
            except Exception as error:  # also one that has no right to ask
                self._trouble.note(error)
            else:
                self._trouble.end()
            await asyncio.sleep(_LOOK_EVERY)

    async def _look(self) -> None:
        of_writer, of_reader = self._lookouts
        asked_at = self._clock()
        async with of_writer.connect() as connection:
            cluster, written = (await connection.execute(_WRITTEN)).one()
        if self._positions and written < self._positions[-1][1]:
            self._positions.clear()  # another server has taken over, and begins where it was
        self._positions.append((asked_at, written))
        async with of_reader.connect() as connection:
            its_cluster, replayed = (await connection.execute(_REPLAYED)).one()
        if its_cluster != cluster or replayed is None:
            raise Unavailable("The reader is no replica of this database.", retry_after=1)
        while self._positions and self._positions[0][1] <= replayed:
            self._horizon, _ = self._positions.popleft()
