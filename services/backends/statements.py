"""asyncpg's connection as Crier uses it: every statement ends within the time left, and is counted.

asyncpg cancels a statement on the server when its timeout passes and can use the connection again; a cancelled task
would cost the connection. So the time left goes down as asyncpg's own timeout, where SQLAlchemy has no place for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import asyncpg
from asyncpg.cursor import CursorFactory
from asyncpg.prepared_stmt import PreparedStatement
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from services.backends.deadline import time_left
from services.domain.errors import TimedOut

_DIALECT = dialect()  # type: ignore[no-untyped-call] # untyped upstream
HEADROOM = 0.02
"""Seconds by which a statement ends before its operation, so that the answer says which part was too slow."""
MEND_PATIENCE = 1.0
"""Seconds a connection has to show that it still lives."""
CLOSE_PATIENCE = 0.25
"""Seconds that a polite good-bye may take; SQLAlchemy's two would hold up whoever is cancelled on a dead network."""


@dataclass(slots=True)
class StatementTally:
    """How many statements ran, and how many rows came back."""

    statements: int = 0
    rows: int = 0


_tally: ContextVar[StatementTally | None] = ContextVar("statement_tally", default=None)


class tally_statements:  # noqa: N801 — used like a function, as contextlib's own are
    """Count what runs inside, child tasks included; an enclosing tally is told at the end."""

    __slots__ = ("_tally", "_token")

    def __enter__(self) -> StatementTally:
        self._tally = StatementTally()
        self._token: Token[StatementTally | None] = _tally.set(self._tally)
        return self._tally

    def __exit__(self, *raised: object) -> None:
        _tally.reset(self._token)
        outer = _tally.get()
        if outer is not None:
            outer.statements += self._tally.statements
            outer.rows += self._tally.rows


def _count(rows: int) -> None:
    tally = _tally.get()
    if tally is not None:
        tally.statements += 1
        tally.rows += rows


if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]  # generic in the stubs only
else:
    _Connection = asyncpg.Connection


class BoundedConnection(_Connection):
    """A connection whose statements never outlast the caller's deadline, nor `patience`."""

    patience: float = 30.0
    """Seconds after which a server that has not even applied its own statement timeout is given up."""
    is_suspect: bool = False
    """Whether a statement ended otherwise than by the server's word: whoever takes the connection back sees first if
    it still lives. asyncpg sends no Sync with what it prepares, so a statement that is prepared and then not run (its
    time was over, a value did not fit) would stay open at the server, until it fails whoever comes next."""

    async def prepare(self, query: str, **options: Any) -> Any:
        """A prepared statement, bounded like everything else."""
        with self.bounded() as timeout:
            statement = await super().prepare(query, timeout=timeout, **options)
        return BoundedStatement(self, statement)

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 — asyncpg's
        """Run one or more commands; a `timeout` that is given (seconds) replaces the time left."""
        with self.bounded(timeout) as allowed:
            return await super().execute(query, *args, timeout=allowed)

    async def executemany(self, command: str, args: Iterable[Any], *, timeout: float | None = None) -> None:  # noqa: ASYNC109 — asyncpg's
        """Run one command with many sets of arguments."""
        with self.bounded(timeout) as allowed:
            await super().executemany(command, args, timeout=allowed)
        _count(0)

    async def fetchval(
        self,
        query: str,
        *args: Any,
        column: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109 — asyncpg's
    ) -> Any:
        """The first row's value, None without a row; the statement stays prepared."""
        with self.bounded(timeout) as allowed:
            value = await super().fetchval(query, *args, column=column, timeout=allowed)
        _count(0 if value is None else 1)
        return value

    async def fetch_rows(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Run one command and give its rows."""
        with self.bounded() as timeout:
            rows = await self.fetch(query, *args, timeout=timeout)
        _count(len(rows))
        return rows

    async def still_works(self) -> bool:
        """Whether the server answers soon; what a cancelled statement left behind is rolled back."""
        try:
            with suppress(asyncpg.InFailedSQLTransactionError):
                await self.execute("SELECT 1", timeout=MEND_PATIENCE)
            if self.is_in_transaction():
                await self.execute("ROLLBACK", timeout=MEND_PATIENCE)
        except (TimedOut, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.terminate()
            return False
        self.is_suspect = False
        return True

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 — asyncpg's
        """Close politely, but not for long: one that does not answer is aborted by then, and nothing is lost."""
        with suppress(TimeoutError):
            await super().close(timeout=min(CLOSE_PATIENCE, timeout or CLOSE_PATIENCE))

    def bounded(self, timeout: float | None = None) -> _Bounds:
        """The seconds a call may take; running over them is TimedOut, a broken socket is a lost connection."""
        return _Bounds(self, timeout)


class _Bounds:
    """Around one call of one connection. Every statement has one or two, so it is no generator."""

    __slots__ = ("_connection", "_timeout")

    def __init__(self, connection: BoundedConnection, timeout: float | None) -> None:
        self._connection = connection
        self._timeout = timeout

    def __enter__(self) -> float:
        if self._timeout is not None:
            return self._timeout
        try:
            return time_left(self._connection.patience, headroom=HEADROOM)
        except TimedOut:  # so it will not run; perhaps it was prepared
            self._connection.is_suspect = True
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        connection = self._connection
        if isinstance(error, TimeoutError):
            connection.is_suspect = True
            raise TimedOut("The database did not answer in the operation's time.") from error
        if isinstance(error, asyncpg.InternalClientError):
            # asyncpg's words for a server that said good-bye before we said anything: nothing was sent.
            connection.terminate()
            raise asyncpg.InterfaceError("the connection was closed by the server") from error
        if isinstance(error, OSError):
            raise asyncpg.ConnectionDoesNotExistError("the connection to the server broke") from error
        has_answered = isinstance(error, asyncpg.PostgresError) and error.severity is not None
        connection.is_suspect = connection.is_suspect or not has_answered


class BoundedStatement:
    """The part of a prepared statement that SQLAlchemy uses."""

    def __init__(self, connection: BoundedConnection, statement: PreparedStatement[asyncpg.Record]) -> None:
        self._connection = connection
        self._statement = statement
        self.get_attributes = statement.get_attributes
        self.get_statusmsg = statement.get_statusmsg

    async def fetch(self, *args: Any) -> list[asyncpg.Record]:
        """All rows."""
        with self._connection.bounded() as timeout:
            rows = await self._statement.fetch(*args, timeout=timeout)
        _count(len(rows))
        return rows

    def cursor(self, *args: Any) -> CursorFactory[asyncpg.Record]:
        """A cursor for rows that are streamed."""
        with self._connection.bounded() as timeout:
            return self._statement.cursor(*args, timeout=timeout)


class DirectStatement:
    """SQL that goes to the driver past SQLAlchemy, whose own road costs as much again as the statement: for those few
    that every publication runs, or every request of somebody who was not here a moment ago."""

    def __init__(self, statement: ClauseElement) -> None:
        compiled = cast(SQLCompiler, statement.compile(dialect=_DIALECT))
        self._sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())

    async def fetch(self, connection: AsyncConnection, **values: Any) -> list[asyncpg.Record]:
        """Its rows."""
        return await driver_of(connection).fetch_rows(self._sql, *(values[name] for name in self._names))


def driver_of(connection: AsyncConnection) -> BoundedConnection:
    """The driver's side of a connection of `Database`, whose transactions begin there. Raises TypeError for others."""
    raw = connection.sync_connection
    driver = None if raw is None else raw.connection.driver_connection
    # Of the class: asyncpg has isinstance() say yes for every connection of its own.
    if not issubclass(type(driver), BoundedConnection):
        raise TypeError(f"a connection of services.backends.database.Database is wanted, not {connection}")
    return cast(BoundedConnection, driver)
