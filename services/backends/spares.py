"""Connections that stay out of SQLAlchemy's pool for a moment, between two reads that it knows nothing of.

To hand one back to the pool and take it out again costs a seventh of what a short read costs in all.
"""

import asyncio
import time
from contextvars import Context
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.backends.statements import BoundedConnection

_LOOK_EVERY = 1.0
"""Seconds. What nobody wanted for as long goes back to the pool, which closes what it does not need."""
_AWAY_FOR = 60.0
"""Seconds after which the pool wants to see a connection, however much others want it: it replaces what is old."""


class Lent(NamedTuple):
    """A connection that is out of the pool, and the driver's side of it."""

    connection: AsyncConnection
    driver: BoundedConnection
    left_at: float
    """When it left the pool, by the monotonic clock."""


class Spares:
    """The one that was used last is taken first."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, Lent]] = []
        self._looking: asyncio.Task[None] | None = None

    def keep(self, lent: Lent) -> bool:
        """Keep one, on which nothing runs and nothing is open, for whoever comes next; False: it is the pool's turn."""
        now = time.monotonic()
        if now - lent.left_at >= _AWAY_FOR:
            return False
        self._kept.append((now, lent))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), context=Context())
        return True

    def take(self) -> Lent | None:
        """One of them, if there is any. The server may have closed it."""
        return self._kept.pop()[1] if self._kept else None

    async def close(self) -> None:
        """Hand all back."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        await self._hand_back(before=time.monotonic())

    async def _look(self) -> None:
        while self._kept:
            await asyncio.sleep(_LOOK_EVERY)
            await self._hand_back(before=time.monotonic() - _LOOK_EVERY)

    async def _hand_back(self, *, before: float) -> None:
        """Those that were kept before a moment."""
        going = [lent for kept_at, lent in self._kept if kept_at <= before]
        self._kept = [one for one in self._kept if one[0] > before]
        await asyncio.gather(*(lent.connection.close() for lent in going), return_exceptions=True)
