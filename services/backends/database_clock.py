"""The time that all processes go by: PostgreSQL's, carried on by this process's own steady clock.

Due times, leases and the hours of quotas are compared inside the database. A process that reckoned by its machine's
wall clock, which may be wrong or jump, would put posts off for hours, or give them up as missed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy import func, select

from services.backends.database import Database
from services.backends.troubles import Trouble

_WOBBLE = timedelta(seconds=1)
"""By less than this one reading may differ from the next only because a question took its time."""


class DatabaseClock:
    """Tells `now`; it has to be set again now and then, for no two clocks run alike."""

    def __init__(self, *, database: Database, wall: Callable[[], datetime]) -> None:
        """`wall` is this machine's own time, and holds until the database was asked for the first time."""
        self._database = database
        self._wall = wall
        self._known: tuple[datetime, float] | None = None
        self._told: datetime | None = None

    def now(self) -> datetime:
        """The database's time, aware; it stands still rather than go back a little, so that nothing ends before it
        began."""
        if self._known is None:
            return self._wall()
        known, read_at = self._known
        moment = known + timedelta(seconds=time.monotonic() - read_at)
        if self._told is not None and timedelta(0) < self._told - moment < _WOBBLE:
            return self._told
        self._told = moment
        return moment

    @asynccontextmanager
    async def running(self, *, every: timedelta = timedelta(seconds=10)) -> AsyncIterator[None]:
        """Set now, and again and again while the block runs; a database that is away leaves it as it goes."""
        trouble = Trouble("clock.not_set")
        await self._try_set(trouble)
        keeping = asyncio.create_task(self._keep(every, trouble))
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def set(self) -> None:
        """Ask the database; its answer is taken for the time halfway between question and answer."""
        async with self._database.connect() as connection:
            asked_at = time.monotonic()
            moment: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
            self._known = moment, (asked_at + time.monotonic()) / 2

    async def _keep(self, every: timedelta, trouble: Trouble) -> None:
        while True:
            await asyncio.sleep(every.total_seconds())
            await self._try_set(trouble)

    async def _try_set(self, trouble: Trouble) -> None:
        try:
            await self.set()
        except Exception as error:
            trouble.note(error)
        else:
            trouble.end()
