"""How often a person may publish: a sliding hour per person and platform, exact to the publication."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.backends.database import Database
from services.backends.deadline import forget_deadline
from services.backends.faults import DatabaseAway
from services.domain.accounts import Platform
from services.domain.limits import HOUR, NeverLeft, RateLimit, Window, WindowUse
from services.guards.quotas import Quotas

_log = structlog.get_logger(__name__)

T = TypeVar("T")
_Settle = Callable[[AsyncConnection, Sequence[str]], Awaitable[None]]

_SWEPT_AT_ONCE = 1_000
"""Slots forgotten in one transaction."""


class RateLimiterService:
    """The road to `Quotas` for whoever has no transaction of his own; none is open while a platform is called."""

    def __init__(
        self, *, database: Database, quotas: Quotas, limits: Mapping[Platform, int], length: timedelta = HOUR
    ) -> None:
        """`limits` are publications per `length`."""
        self._database = database
        self._quotas = quotas
        self._limits = limits
        self._length = length
        self._settling: set[asyncio.Task[None]] = set()

    def window(self, key: str, platform: Platform) -> Window:
        """The window of one key (`user:{id}`) on one platform."""
        return Window(f"{key}|{platform}|hour", self._limits[platform], self._length)

    async def throttle(
        self, key: str, platform: Platform, fn: Callable[[], Awaitable[T]], *, delivery: str | None = None
    ) -> T:
        """What `fn` returns, run in a slot of its own; raises RateLimited, without running it, where none is free.

        `fn` raises NeverLeft (or a subclass) to give the slot back; however else it ends, cancellation included, the
        slot stays taken. The same `delivery` again takes no second slot.
        """
        return await self.within(self.window(key, platform), fn, delivery=delivery)

    async def within(self, window: Window, fn: Callable[[], Awaitable[T]], *, delivery: str | None = None) -> T:
        """`throttle` by any window."""
        delivery = delivery or f"throttle:{uuid4()}"
        await self._take(delivery, window)
        settle = self._quotas.end
        try:
            return await fn()
        except NeverLeft:
            settle = self._quotas.give_back
            raise
        finally:
            await self._see_settled(settle, delivery)

    async def get_rate_limit_info(self, key: str, platform: Platform) -> RateLimit:
        """How much of the limit is used now."""
        [info] = await self.load_rate_limit_infos([(key, platform)])
        return info

    async def load_rate_limit_infos(self, keys: Sequence[tuple[str, Platform]]) -> list[RateLimit]:
        """The same for many keys by one statement, in the order asked."""
        uses = await self.peek([self.window(key, platform) for key, platform in keys])
        return [
            RateLimit(
                key=key,
                platform=platform,
                limit=use.window.limit,
                used=use.used,
                remaining=use.remaining,
                reset_at=use.reset_at,
                window_seconds=self._length.total_seconds(),
                as_of=use.as_of,
            )
            for (key, platform), use in zip(keys, uses, strict=True)
        ]

    async def peek(self, windows: Sequence[Window]) -> list[WindowUse]:
        """How full any windows are, in the order asked; takes nothing."""
        async with self._database.connect() as connection:
            return await self._quotas.count(connection, windows)

    async def reset(self, key: str, platform: Platform) -> None:
        """Give a key its whole limit again, calls that still run forgiven."""
        async with self._database.begin() as connection:
            await self._quotas.clear(connection, self.window(key, platform))

    async def sweep(self) -> None:
        """Forget the slots that bind nobody any more."""
        swept = _SWEPT_AT_ONCE
        while swept == _SWEPT_AT_ONCE:
            async with self._database.begin() as connection:
                swept = await self._quotas.sweep(connection, most=_SWEPT_AT_ONCE)

    async def _take(self, delivery: str, window: Window) -> None:
        try:
            async with self._database.begin(locks=self._quotas.locks_of([window])) as connection:
                refusals = await self._quotas.take_locked(connection, {delivery: [window]})
        except BaseException:  # a cancellation, say, after which the commit came through all the same
            await self._see_settled(self._quotas.give_back, delivery)
            raise
        if delivery in refusals:
            raise refusals[delivery].as_error()

    async def _see_settled(self, settle: _Settle, delivery: str) -> None:
        """Settle the slot even where the caller is cancelled meanwhile."""
        task = asyncio.create_task(self._write(settle, delivery))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        await asyncio.shield(task)

    async def _write(self, settle: _Settle, delivery: str) -> None:
        """Failing costs a place for `LONGEST_CALL`; it must not cost the caller what the platform answered."""
        forget_deadline()
        try:
            try:
                await self._write_once(settle, delivery)
            except DatabaseAway:  # perhaps only that connection was lost
                await self._write_once(settle, delivery)
        except Exception:
            _log.exception("quota_slot_not_settled", delivery=delivery)

    async def _write_once(self, settle: _Settle, delivery: str) -> None:
        async with self._database.connect() as connection:
            await settle(connection, [delivery])
