"""The commands around a transaction's statements, sent by the driver itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import asyncpg

from services.backends.faults import CommitUnknown, DatabaseAway, meaning_of
from services.backends.statements import BoundedConnection
from services.domain.errors import TimedOut

COMMIT_PATIENCE = 5.0
"""Seconds COMMIT may take before its outcome counts as unknown."""
_ROLLBACK_PATIENCE = 1.0


async def send_begin(driver: BoundedConnection, command: str) -> None:
    """Begin; but not at a standby, whose address another may have by now: that connection goes."""
    try:
        await driver.execute(command)
    except asyncpg.FeatureNotSupportedError as error:  # read-write transactions, during recovery
        driver.terminate()
        raise DatabaseAway("The database takes no changes at the moment.", retry_after=1) from error


def locking(locks: Sequence[int]) -> str:
    """The end of a BEGIN that takes these advisory locks, in this order."""
    return "".join(f"; SELECT pg_advisory_xact_lock({lock:d})" for lock in locks)


async def send_commit(driver: BoundedConnection, on_committed: Callable[[], None] | None) -> None:
    """Send COMMIT and wait for its answer, whatever happens to the caller meanwhile."""
    if driver.is_closed():
        raise DatabaseAway("The connection to the database was lost.", retry_after=1)
    task = asyncio.create_task(driver.execute("COMMIT", timeout=COMMIT_PATIENCE))
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    try:
        outcome = task.result()
    except (TimedOut, asyncpg.PostgresError) as error:
        if isinstance(error, asyncpg.PostgresError) and not isinstance(meaning_of(error), DatabaseAway):
            raise  # PostgreSQL refused
        raise CommitUnknown("The connection was lost during the commit; it took place whole or not at all.") from error
    if outcome != "COMMIT":
        raise RuntimeError("a statement of this transaction failed and was ignored: nothing was committed")
    if on_committed is not None:
        on_committed()
    if cancellation is not None:
        raise cancellation


async def send_rollback(driver: BoundedConnection) -> None:
    """Undo. A connection that is in doubt is rolled back when it is mended."""
    if driver.is_closed() or driver.is_suspect:
        return
    try:
        await driver.execute("ROLLBACK", timeout=_ROLLBACK_PATIENCE)
    except (TimedOut, asyncpg.InterfaceError, asyncpg.PostgresError):
        driver.terminate()
