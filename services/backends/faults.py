"""What PostgreSQL's errors mean to Crier.

    Contended(Overloaded)        others want the same rows (40001, 40P01): the whole transaction may be tried again
    TimedOut                     a statement or a lock took too long (57014, 55P03)
    DatabaseAway(Unavailable)    no connection, or it was lost: nothing of this transaction happened
    CommitUnknown(Unavailable)   the connection was lost while COMMIT was under way

What is not among them (a violated constraint, a mistake in SQL) stays as SQLAlchemy raised it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import asyncpg
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from services.domain.errors import CrierError, Overloaded, TimedOut, Unavailable

_CONTENDED = ("40001", "40P01")
_TOO_SLOW = ("57014", "55P03")
_FULL = ("53300",)
_SPOKEN = (DBAPIError, PendingRollbackError, asyncpg.PostgresError, asyncpg.InterfaceError)
_AWAY = ("57P01", "57P02", "57P03", "25P03", "25P04")


class Contended(Overloaded):
    """Concurrent transactions got in each other's way; nothing of this one happened."""


class DatabaseAway(Unavailable):
    """PostgreSQL cannot be reached, or was lost before COMMIT: nothing of this transaction happened."""


class CommitUnknown(Unavailable):
    """PostgreSQL was lost while COMMIT was under way: the transaction took place whole or not at all."""


def meaning_of(error: BaseException) -> CrierError | None:
    """The error of ours that says the same; None where there is none."""
    driver_error = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(driver_error, "sqlstate", None) or ""
    if state in _CONTENDED:
        return Contended("Too many changes to the same data at once.", retry_after=1)
    if state in _TOO_SLOW:
        return TimedOut("The database took too long.", retry_after=1)
    if state in _FULL:
        return Overloaded("The database takes no more connections.", retry_after=1)
    if state in _AWAY or state.startswith("08") or _is_closed(error, driver_error):
        return DatabaseAway("The database cannot be reached.", retry_after=1)
    return None


def _is_closed(error: BaseException, driver_error: BaseException | None) -> bool:
    if isinstance(error, PendingRollbackError):  # of a transaction that goes on after its connection was lost
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(driver_error, asyncpg.InterfaceError) and "closed" in str(driver_error)


class told_plainly:  # noqa: N801 — used like a function, as contextlib's own are
    """Raise what PostgreSQL's errors mean instead of the errors."""

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, _SPOKEN):
            meaning = meaning_of(error)
            if meaning is not None:
                raise meaning from error


@contextmanager
def reaching() -> Iterator[None]:
    """Raise DatabaseAway where the server cannot even be reached. Only around calls that do nothing else."""
    try:
        yield
    except OSError as error:  # a TimeoutError is one too
        raise DatabaseAway("The database cannot be reached.", retry_after=1) from error
