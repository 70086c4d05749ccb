"""Platform quotas: slots of windows, taken in the caller's own transaction.

A slot is a row, so that neither a flushed Redis nor a killed process can lose it, and a publication that is claimed and
its slot are one commit. Exact under concurrency: whoever takes holds one lock per window until the transaction ends.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import Any

from sqlalchemy import Update, bindparam, delete, func, literal_column, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.backends.statements import DirectStatement
from services.domain.limits import LONGEST_WINDOW, LimitReached, Window, WindowUse
from services.guards.quota_statements import COUNT, END, GIVE_BACK, LOCK, SWEEP, TAKE, statement
from services.models.quota_slots import QuotaSlotRow

LONGEST_CALL = timedelta(hours=24)
"""Longer than any call can run; after that a slot that nobody ended counts as ended."""


class Quotas:
    """The slots of all windows. Every method is one statement on the connection it is given; those that take the
    windows' locks themselves need two."""

    def __init__(self, *, longest_call: timedelta = LONGEST_CALL, clock: str = "clock_timestamp()") -> None:
        """`clock` is SQL: of many machines only the database has one time."""
        self._longest_call = longest_call
        self._clock = clock
        self._lock, self._take, self._count, self._end, self._give_back = (
            DirectStatement(statement(sql, clock=clock)) for sql in (LOCK, TAKE, COUNT, END, GIVE_BACK)
        )
        self._sweep = statement(SWEEP, clock=clock)

    async def take(self, connection: AsyncConnection, delivery: str, windows: Sequence[Window]) -> LimitReached | None:
        """A slot in each of the windows, or in none where one is full; None says that it has them."""
        refusals = await self.take_many(connection, [(delivery, windows)])
        return refusals.get(delivery)

    async def take_many(
        self, connection: AsyncConnection, requests: Iterable[tuple[str, Sequence[Window]]]
    ) -> dict[str, LimitReached]:
        """Who was refused; all others have their slots. Requests come oldest first, and are served in that order.

        A delivery that holds a slot already keeps that one and takes no second. The transaction must be READ COMMITTED.
        """
        wanted = {delivery: windows for delivery, windows in requests if windows}
        if not wanted:
            return {}
        await self._lock_windows(connection, (window for windows in wanted.values() for window in windows))
        return await self.take_locked(connection, wanted)

    async def take_locked(
        self, connection: AsyncConnection, wanted: Mapping[str, Sequence[Window]]
    ) -> dict[str, LimitReached]:
        """The same in a transaction that holds `locks_of` their windows already."""
        distinct = {window.key: window for windows in wanted.values() for window in windows}
        places = {key: place for place, key in enumerate(distinct, 1)}
        asks = [(asking, key) for asking, windows in enumerate(wanted.values(), 1) for key in _keys(windows)]

        rows = await self._take.fetch(
            connection,
            **self._described(distinct.values()),
            deliveries=list(wanted),
            asking=[asking for asking, _ in asks],
            asked=[places[key] for _, key in asks],
        )

        listed = list(distinct.values())
        return {
            row["delivery"]: _refusal(listed[row["window_place"] - 1], row["free_at"], float(row["retry_after"]))
            for row in rows
        }

    @staticmethod
    def locks_of(windows: Iterable[Window]) -> list[int]:
        """The advisory locks under which slots of these windows are taken, in the order in which everybody takes them;
        should two windows share one, their takers merely wait for each other."""
        digests = (blake2b(f"quota:{window.key}".encode(), digest_size=8).digest() for window in windows)
        return sorted({int.from_bytes(digest, signed=True) for digest in digests})

    async def end(self, connection: AsyncConnection, deliveries: Sequence[str]) -> None:
        """Their calls are over, and left or may have left: from now on their slots' time runs."""
        await self._end.fetch(connection, deliveries=list(deliveries))

    @cached_property
    def ending(self) -> Update:
        """`end` for one delivery, to be a part of its caller's statement, who fills in the hole `held_delivery`."""
        slots = QuotaSlotRow.__table__.c
        is_running = slots.ended_at.is_(None) | (slots.ended_at < slots.taken_at)
        return (
            update(QuotaSlotRow)
            .where(slots.delivery == bindparam("held_delivery"), is_running)
            .values(ended_at=func.greatest(literal_column(self._clock), slots.taken_at))
        )

    async def give_back(self, connection: AsyncConnection, deliveries: Sequence[str]) -> None:
        """Their calls never left: the slots are free at once."""
        await self._give_back.fetch(connection, deliveries=list(deliveries))

    async def count(self, connection: AsyncConnection, windows: Sequence[Window]) -> list[WindowUse]:
        """How full each window is, in the order asked; takes nothing."""
        rows = await self._count.fetch(connection, **self._described(windows))
        return [
            WindowUse(window, used=row["used"], reset_at=row["reset_at"], as_of=row["as_of"])
            for window, row in zip(windows, rows, strict=True)
        ]

    async def clear(self, connection: AsyncConnection, window: Window) -> None:
        """Empty a window, calls that still run included."""
        await self._lock_windows(connection, [window])
        await connection.execute(delete(QuotaSlotRow).where(QuotaSlotRow.window == window.key))

    async def sweep(self, connection: AsyncConnection, *, most: int = 1000) -> int:
        """Delete up to `most` slots that count nowhere any more; how many there were."""
        bounds = {"longest_window": LONGEST_WINDOW, "longest_call": self._longest_call, "most": most}
        swept = await connection.execute(self._sweep, bounds)
        return swept.rowcount

    async def _lock_windows(self, connection: AsyncConnection, windows: Iterable[Window]) -> None:
        rows = await self._lock.fetch(connection, keys=self.locks_of(windows))
        isolation = rows[0]["isolation"]
        if isolation != "read committed":
            raise ValueError(
                f"slots are taken in a READ COMMITTED transaction, which sees who came before, not {isolation}"
            )

    def _described(self, windows: Iterable[Window]) -> dict[str, Any]:
        listed = list(windows)
        return {
            "names": [window.key for window in listed],
            "limits": [window.limit for window in listed],
            "lengths": [window.length for window in listed],
            "longest_call": self._longest_call,
        }


def _refusal(window: Window, free_at: datetime, retry_after: float) -> LimitReached:
    """A window that follows a calendar is free at its end at the latest."""
    early = timedelta(0) if window.ends_at is None else max(free_at - window.ends_at, timedelta(0))
    return LimitReached(window, free_at - early, max(0.0, retry_after - early.total_seconds()))


def _keys(windows: Sequence[Window]) -> list[str]:
    return list(dict.fromkeys(window.key for window in windows))
