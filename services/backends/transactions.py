"""Transactions: one commit or nothing, tried again where that is safe, and what follows a commit only after it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
from datetime import timedelta
from random import Random
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.backends.database import Database, Isolation
from services.backends.deadline import extra_time, forget_deadline, time_left
from services.backends.faults import CommitUnknown, Contended, DatabaseAway
from services.backends.outbox import OutboxEntry, OutboxRelay
from services.backends.statements import driver_of
from services.domain.errors import CrierError
from services.domain.events import Event
from services.domain.ids import new_id

T = TypeVar("T")
AfterCommit = Callable[[], Awaitable[None]]

_log = logging.getLogger(__name__)


class Transaction:
    """What a piece of work may do while its transaction is open."""

    def __init__(self, *, connection: AsyncConnection, isolation: Isolation, depth: int = 0) -> None:
        self.connection = connection
        self.isolation = isolation
        self.depth = depth
        self.is_over = False
        self.turn = asyncio.Lock()
        """Held by the nested transaction that is open: savepoints form a stack, so siblings follow one another."""
        self.entries: list[OutboxEntry] = []
        self.callbacks: list[AfterCommit] = []

    def on_commit(self, callback: AfterCommit) -> None:
        """Run `callback` once the outermost transaction is committed, in the order of these calls; never otherwise."""
        self.callbacks.append(callback)

    async def emit(self, event: Event) -> None:
        """Tell `event` after the commit: its row is written in this transaction, so it is not lost in a crash."""
        self.entries.append(OutboxEntry(new_id(), event))

    async def close_nested(self) -> None:
        """Wait for the nested transaction that a child task may still have open; after this none can begin."""
        async with self.turn:
            self.is_over = True


_CLEAN_UP = timedelta(seconds=2)
"""What undoing, or finding out how a commit ended, may take beyond the operation's own time."""
_ASK_AGAIN = 0.1
_STATUS = text("SELECT pg_xact_status(CAST(CAST(:id AS text) AS xid8))")

Work = Callable[[Transaction], Awaitable[T]]

_current: ContextVar[Transaction | None] = ContextVar("transaction", default=None)


def forget_transaction() -> None:
    """Leave the caller's transaction behind, for a task that outlives it."""
    _current.set(None)


class DatabaseTransactionService:
    """Runs work in a transaction, whole and again where others got in its way.

    Work may run up to `tries` times, so it touches nothing but the database; all else goes into `on_commit`. A call
    inside running work joins it by a savepoint. So does a call in a child task of that work: siblings wait for one
    another, and COMMIT for the last. A task that comes after the end has a transaction of its own.
    """

    def __init__(
        self,
        *,
        database: Database,
        outbox: OutboxRelay,
        random: Random,
        tries: int = 3,
        pause: timedelta = timedelta(milliseconds=20),
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._random = random
        self._tries = tries
        self._pause = pause.total_seconds()
        self._following: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait for what still follows commits."""
        if self._following:
            await asyncio.wait(self._following)

    async def execute_in_transaction(
        self, work: Work[T], *, isolation: Isolation = Isolation.READ_COMMITTED, read_only: bool = False
    ) -> T:
        """Run `work` and commit; any exception undoes it. Returns once events are told and callbacks have run.

        A nested call has the isolation of the outermost; ValueError where it asks for more. Raises Contended or
        DatabaseAway after the last try, CommitUnknown where nobody can say whether the commit took place.
        """
        outer = _current.get()
        if outer is not None and not outer.is_over:
            async with outer.turn:
                if not outer.is_over:
                    return await self._join(outer, work, isolation, read_only)
        for attempt in range(1, self._tries):
            try:
                return await self._attempt(work, isolation, read_only)
            except (Contended, DatabaseAway) as error:
                _log.debug("transaction tried again", extra={"attempt": attempt, "reason": type(error).__name__})
                await asyncio.sleep(time_left(self._random.uniform(0.5, 1.5) * self._pause * 2**attempt))
        return await self._attempt(work, isolation, read_only)

    async def _attempt(self, work: Work[T], isolation: Isolation, read_only: bool) -> T:
        transaction_id: str | None = None
        following: asyncio.Task[None] | None = None

        def follow() -> None:
            nonlocal following
            following = self._follow(transaction)

        try:
            async with self._database.begin(
                isolation=isolation, read_only=read_only, on_committed=follow
            ) as connection:
                transaction = Transaction(connection=connection, isolation=isolation)
                result = await _run(work, transaction)
                if transaction.entries:
                    transaction_id = await self._outbox.write(connection, transaction.entries)
        except CommitUnknown:
            outcome = None if transaction_id is None else await self._find_outcome(transaction_id)
            if outcome == "aborted":
                raise DatabaseAway("The database was lost before the commit.", retry_after=1) from None
            if outcome is None:
                raise
            follow()
        if following is not None:
            await asyncio.shield(following)
        return result

    async def _join(self, outer: Transaction, work: Work[T], isolation: Isolation, read_only: bool) -> T:
        """Run `work` under a savepoint; what it emitted and registered counts only if it succeeds."""
        if isolation.strength > outer.isolation.strength:
            raise ValueError(f"work that needs {isolation} is nested in a transaction that is {outer.isolation}")
        nested = Transaction(connection=outer.connection, isolation=outer.isolation, depth=outer.depth + 1)
        savepoint = f"nested_{nested.depth}"
        await outer.connection.execute(text(f"SAVEPOINT {savepoint}"))
        if read_only:
            await outer.connection.execute(text("SET TRANSACTION READ ONLY"))
        try:
            result = await _run(work, nested)
            await outer.connection.execute(text(f"RELEASE SAVEPOINT {savepoint}"))
        except BaseException:
            await self._undo(outer, savepoint)
            raise
        outer.entries += nested.entries
        outer.callbacks += nested.callbacks
        return result

    async def _undo(self, outer: Transaction, savepoint: str) -> None:
        """Undo the nested work. Where that fails the connection goes, so that nobody can commit half of it."""
        try:
            with extra_time(_CLEAN_UP):
                await outer.connection.execute(text(f"ROLLBACK TO SAVEPOINT {savepoint}"))
        except BaseException as error:
            if not outer.connection.invalidated:
                driver_of(outer.connection).terminate()
            if not isinstance(error, Exception):  # canceled once more
                raise
            _log.info("a savepoint could not be undone: its whole transaction will be", exc_info=True)

    async def _find_outcome(self, transaction_id: str) -> str | None:
        """Ask PostgreSQL what became of a commit whose answer was lost: committed, aborted, or None: nobody can say."""
        with suppress(CrierError), extra_time(_CLEAN_UP):
            while True:
                async with self._database.connect() as connection:
                    outcome: str | None = await connection.scalar(_STATUS, {"id": transaction_id})
                if outcome != "in progress":
                    return outcome
                await asyncio.sleep(_ASK_AGAIN)
        return None

    def _follow(self, transaction: Transaction) -> asyncio.Task[None]:
        """Begin what follows the commit; it goes on even where the caller is gone or out of time."""
        context = copy_context()
        context.run(forget_deadline)
        task = asyncio.create_task(self._after_commit(transaction), context=context)
        self._following.add(task)
        task.add_done_callback(self._following.discard)
        return task

    async def _after_commit(self, transaction: Transaction) -> None:
        for callback in (lambda: self._outbox.tell(transaction.entries), *transaction.callbacks):
            try:
                await callback()
            except Exception:
                _log.exception("a callback failed after the commit")


async def _run(work: Work[T], transaction: Transaction) -> T:
    """Run `work` with `transaction` as the current one, nested work of its child tasks included."""
    token = _current.set(transaction)
    try:
        return await work(transaction)
    finally:
        _current.reset(token)
        await transaction.close_nested()
