"""The database: a bounded, warm pool of connections to PostgreSQL, with one way to read and one to write."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import Context
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.backends.boundaries import COMMIT_PATIENCE, locking, send_begin, send_commit, send_rollback
from services.backends.connector import Connector
from services.backends.deadline import current_deadline, time_left
from services.backends.faults import DatabaseAway, told_plainly
from services.backends.spares import Lent, Spares
from services.backends.statements import HEADROOM, BoundedConnection, driver_of
from services.domain.errors import Overloaded, TimedOut
from services.domain.health import PoolUsage

_log = logging.getLogger(__name__)
_FIRST_RETRY = 0.1
_LONGEST_RETRY = 2.0


class Isolation(StrEnum):
    """How far a transaction is apart from others that run beside it."""

    READ_COMMITTED = "READ COMMITTED"
    REPEATABLE_READ = "REPEATABLE READ"
    SERIALIZABLE = "SERIALIZABLE"

    @property
    def strength(self) -> int:
        """Greater for what promises more."""
        return list(Isolation).index(self)


class Database:
    """Between `pool_min` connections, opened at start, and `pool_max`.

    At most `max_waiting` callers wait, for at most `acquire_timeout`; the others are refused with Overloaded. Every
    statement ends within the caller's deadline (`services.backends.deadline`) and the configured timeouts.
    """

    def __init__(
        self,
        *,
        url: str,
        pool_min: int,
        pool_max: int,
        max_waiting: int = 200,
        acquire_timeout: timedelta = timedelta(seconds=2),
        statement_timeout: timedelta = timedelta(seconds=5),
        lock_timeout: timedelta = timedelta(seconds=1),
        idle_timeout: timedelta = timedelta(seconds=10),
        start_patience: timedelta = timedelta(seconds=30),
        through_pgbouncer: bool = False,
        application_name: str = "crier",
        connection_class: type[BoundedConnection] = BoundedConnection,
    ) -> None:
        self._minimum = pool_min
        self._maximum = pool_max
        self._max_waiting = max_waiting
        self._acquire_timeout = acquire_timeout.total_seconds()
        self._start_patience = start_patience.total_seconds()
        self._connector = Connector(
            url=url,
            statement_timeout=statement_timeout,
            lock_timeout=lock_timeout,
            idle_timeout=idle_timeout,
            through_pgbouncer=through_pgbouncer,
            application_name=application_name,
            connection_class=connection_class,
        )
        self._engine = self._connector.engine(pool_min=pool_min, pool_max=pool_max)
        self._slots = asyncio.Semaphore(pool_max)
        self._waiting = 0
        self._waits = 0
        self._waited = 0.0
        self._refused = 0
        self._in_use = 0
        self._spares = Spares()
        self._mending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open the minimum of connections, all at once; a server that is still starting is waited for a while."""
        give_up_at = time.monotonic() + self._start_patience
        pause = _FIRST_RETRY
        while True:
            try:
                return await self._warm_up()
            except DatabaseAway:
                if time.monotonic() + pause > give_up_at:
                    raise
                if pause == _FIRST_RETRY:
                    _log.warning("waiting for the database", extra={"for_seconds": self._start_patience})
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_RETRY)

    async def close(self) -> None:
        """Close all connections; those that are being mended are waited for."""
        if self._mending:
            await asyncio.wait(self._mending)
        await self._spares.close()
        await self._engine.dispose()

    def usage(self) -> PoolUsage:
        """The pool at this moment."""
        size = max(self._connector.open_connections, self._in_use)
        return PoolUsage(
            size=size,
            in_use=self._in_use,
            idle=size - self._in_use,
            waiting=self._waiting,
            minimum=self._minimum,
            maximum=self._maximum,
            waits=self._waits,
            waited_seconds=self._waited,
            refused=self._refused,
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """One connection for reads, without a transaction: each statement sees what is committed when it begins.

        Raises Overloaded, TimedOut or DatabaseAway; other errors of statements stay SQLAlchemy's.
        """
        with told_plainly():
            lent = await self._check_out()
            try:
                yield lent.connection
            finally:
                await self._give_back(lent)

    async def read_value(self, sql: str, values: Sequence[Any]) -> Any:
        """The value that a finished statement gives, None where there is no row: straight from the driver, for what
        SQLAlchemy does for statements and rows in general takes longer than all else. Raises what `connect` raises."""
        with told_plainly():
            lent = await self._check_out()
            try:
                value = await lent.driver.fetchval(sql, *values)
            except BaseException:
                await self._give_back(lent)
                raise
            if self._spares.keep(lent):
                self._free_slot()
            else:
                await self._give_back(lent)
            return value

    @asynccontextmanager
    async def begin(
        self,
        *,
        isolation: Isolation = Isolation.READ_COMMITTED,
        read_only: bool = False,
        locks: Sequence[int] = (),
        on_committed: Callable[[], None] | None = None,
    ) -> AsyncIterator[AsyncConnection]:
        """One connection in one transaction: committed at the end of the block, rolled back by any exception.

        `locks` are advisory ones, taken in this order with BEGIN itself; the block's statements see what their last
        holders have committed.

        Once COMMIT was sent, a cancellation waits for its answer. `on_committed` is called at that answer, even where
        the cancellation then follows. Raises what `connect` raises, and Contended or CommitUnknown.
        """
        with told_plainly():
            lent = await self._check_out()
            try:
                try:
                    await send_begin(lent.driver, self._begin_command(isolation, read_only) + locking(locks))
                    yield lent.connection
                    time_left(COMMIT_PATIENCE, headroom=HEADROOM)
                except BaseException:
                    await send_rollback(lent.driver)
                    raise
                await send_commit(lent.driver, on_committed)
            finally:
                await self._give_back(lent)

    def _begin_command(self, isolation: Isolation, read_only: bool) -> str:
        """BEGIN and the limits in one message: the deadline costs no round trip of its own."""
        deadline = current_deadline()
        left = None if deadline is None else deadline.remaining() - HEADROOM
        mode = "READ ONLY" if read_only else "READ WRITE"
        return f"BEGIN ISOLATION LEVEL {isolation} {mode}{self._connector.limits_in_transaction(left)}"

    async def _check_out(self) -> Lent:
        await self._admit()
        try:
            lent = await self._take_spare()
            if lent is None:
                connection = await self._engine.connect()
                lent = Lent(connection, driver_of(connection), time.monotonic())
        except BaseException:
            self._slots.release()
            raise
        self._in_use += 1
        return lent

    async def _take_spare(self) -> Lent | None:
        while (lent := self._spares.take()) is not None:
            if not lent.driver.is_closed():
                return lent
            await lent.connection.invalidate()
            await lent.connection.close()
        return None

    async def _admit(self) -> None:
        """Take one of the slots, waiting in line for a bounded time, unless the line is too long."""
        if not self._slots.locked():
            await self._slots.acquire()
            return
        if self._waiting >= self._max_waiting:
            self._refused += 1
            raise Overloaded("Too many requests wait for the database.", retry_after=self._acquire_timeout)
        self._waiting += 1
        self._waits += 1
        began = time.monotonic()
        try:
            async with asyncio.timeout(time_left(self._acquire_timeout, headroom=HEADROOM)):
                await self._slots.acquire()
        except TimeoutError as error:
            self._refused += 1
            if time_left(self._acquire_timeout) < self._acquire_timeout:
                raise TimedOut("The operation's time ended while it waited for the database.") from error
            raise Overloaded("The database is too busy.", retry_after=self._acquire_timeout) from error
        finally:
            self._waiting -= 1
            self._waited += time.monotonic() - began

    async def _give_back(self, lent: Lent) -> None:
        if not lent.driver.is_suspect:
            await self._release(lent.connection)
            return
        task = asyncio.create_task(self._mend(lent), context=Context())
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)

    async def _mend(self, lent: Lent) -> None:
        """Keep the connection if it still works. The caller does not wait for this, the slot does."""
        try:
            if lent.driver.is_closed() or not await lent.driver.still_works():
                await lent.connection.invalidate()
        finally:
            await self._release(lent.connection)

    async def _release(self, connection: AsyncConnection) -> None:
        try:
            await connection.close()
        finally:
            self._free_slot()

    def _free_slot(self) -> None:
        self._in_use -= 1
        self._slots.release()

    async def _warm_up(self) -> None:
        """One connection shows what the server is, the others follow at once; all are held until the last is there."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.connect())
            others = (stack.enter_async_context(self.connect()) for _ in range(self._minimum - 1))
            for outcome in await asyncio.gather(*others, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
