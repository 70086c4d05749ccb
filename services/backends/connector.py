"""How one connection to PostgreSQL is made: its limits, its codecs, and what PgBouncer needs."""

import time
from datetime import timedelta
from typing import Any

import asyncpg
import orjson
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from services.backends.deadline import time_left
from services.backends.encoding import encode_json
from services.backends.faults import reaching
from services.backends.pool import ShrinkingPool
from services.backends.statements import BoundedConnection
from services.domain.errors import TimedOut

CONNECT_PATIENCE = 2.0
"""Seconds a server may take to let us in."""
_GIVEN_UP_AFTER = 2.0
"""Seconds beyond its own statement timeout after which a silent server counts as dead."""
_TRANSACTION_TIMEOUT_SINCE = 17
_TRUSTED_IDLE = 30.0
"""Seconds after which an idle connection is asked before it is handed out; a closed socket is noticed unasked."""
_RECYCLED_AFTER = 1800
"""Seconds after which a connection is replaced: server processes grow with what they have seen."""
_PLANNING = {"jit": "off"}
"""Compiling pays for reports, never for a page of posts."""
_WATCHING = {"client_connection_check_interval": "2000"}
"""Milliseconds after which a server process notices that whoever asked is gone."""


class Connector:
    """Opens connections and counts those that are open.

    Through PgBouncer, which pools whole transactions, a connection may not carry settings or named statements from one
    transaction to the next, but for those few settings that PgBouncer carries itself. There the limits are set in each
    transaction, reads rely on the client's own timeout, and statements have no name: asyncpg sends such a one anew with
    each run, so that no server has to have seen it, and none keeps it.
    """

    def __init__(
        self,
        *,
        url: str,
        statement_timeout: timedelta,
        lock_timeout: timedelta,
        idle_timeout: timedelta,
        through_pgbouncer: bool,
        application_name: str,
        connection_class: type[BoundedConnection] = BoundedConnection,
    ) -> None:
        self._url: URL = make_url(url).set(drivername="postgresql+asyncpg")
        self.statement_timeout = statement_timeout
        self._through_pgbouncer = through_pgbouncer
        self._application_name = application_name
        self._connection_class = connection_class
        self._server_version: int | None = None
        self._limits = {
            "statement_timeout": _milliseconds(statement_timeout),
            "lock_timeout": _milliseconds(lock_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(idle_timeout),
        }
        self.open_connections = 0

    def engine(self, *, pool_min: int, pool_max: int) -> AsyncEngine:
        """The pooled engine. It is in autocommit: reads need no BEGIN, and transactions are begun by `Database`."""
        engine = create_async_engine(
            self._url,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,  # errors are logged, and captions and tokens are nobody's business there
            poolclass=ShrinkingPool,
            pool_size=pool_max,
            max_overflow=0,
            pool_timeout=CONNECT_PATIENCE,
            pool_recycle=_RECYCLED_AFTER,
            pool_use_lifo=True,
            json_serializer=lambda value: encode_json(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={"async_creator_fn": self._connect} | self._statement_arguments(),
        )
        engine.pool.minimum = pool_min  # type: ignore[attr-defined] # it is the class named above
        event.listen(engine.sync_engine, "connect", _hand_json_over_untouched)
        event.listen(engine.sync_engine, "checkin", _note_time)
        event.listen(engine.sync_engine, "checkout", _validate)
        return engine

    def limits_in_transaction(self, timeout: float | None) -> str:
        """`SET LOCAL` commands for a transaction that has `timeout` seconds left; empty where the session's hold."""
        limits = self._limits | _PLANNING if self._through_pgbouncer else {}
        if timeout is not None and timeout < self.statement_timeout.total_seconds():
            limits["statement_timeout"] = _milliseconds(timedelta(seconds=timeout))
        return "".join(f"; SET LOCAL {name} = {value}" for name, value in limits.items())

    async def _connect(self, **options: Any) -> BoundedConnection:
        """A connection within the time left. The first one shows which settings the server knows."""
        with reaching():
            connection = await self._reach(**options)
        self.open_connections += 1
        connection.add_termination_listener(self._forget)
        connection.patience = self.statement_timeout.total_seconds()
        if not self._through_pgbouncer:  # the server has a limit of its own, and says so first
            connection.patience += _GIVEN_UP_AFTER
        if self._server_version is None and not self._through_pgbouncer:
            self._server_version = connection.get_server_version().major
            for name, value in self._newer_settings().items():
                await connection.execute(f"SET {name} = {value}")
        return connection

    async def _reach(self, **options: Any) -> BoundedConnection:
        patience = time_left(CONNECT_PATIENCE)
        try:
            connection: BoundedConnection = await asyncpg.connect(
                **options,
                connection_class=self._connection_class,
                server_settings=self._session_settings(),
                timeout=patience,
            )
        except TimeoutError as error:
            if patience < CONNECT_PATIENCE:
                raise TimedOut("The operation's time ended while a connection was opened.") from error
            raise
        return connection

    def _forget(self, _: Any) -> None:
        self.open_connections -= 1

    def _session_settings(self) -> dict[str, str]:
        carried = {"application_name": self._application_name, "timezone": "UTC"}
        if self._through_pgbouncer:
            return carried
        return carried | self._limits | _PLANNING | _WATCHING | self._newer_settings()

    def _newer_settings(self) -> dict[str, str]:
        """What only newer servers know; nothing until the first connection has shown how new this one is."""
        if (self._server_version or 0) < _TRANSACTION_TIMEOUT_SINCE:
            return {}
        return {"transaction_timeout": str(3 * int(self._limits["statement_timeout"]))}

    def _statement_arguments(self) -> dict[str, Any]:
        if not self._through_pgbouncer:
            # A page's statement is long, and its plan as good tomorrow as today.
            return {"max_cacheable_statement_size": 0, "max_cached_statement_lifetime": 0}
        return {
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": str,
            "statement_cache_size": 0,
        }


def _milliseconds(duration: timedelta) -> str:
    return str(max(1, round(duration.total_seconds() * 1000)))


def _hand_json_over_untouched(connection: Any, _: Any) -> None:
    """`json` arrives as the server's bytes, so that a finished page goes out without being decoded and encoded."""
    connection.run_async(
        lambda driver: driver.set_type_codec(
            "json", schema="pg_catalog", format="binary", encoder=str.encode, decoder=bytes
        )
    )


def _note_time(_: Any, entry: ConnectionPoolEntry) -> None:
    entry.info["idle_since"] = time.monotonic()


def _validate(connection: Any, entry: ConnectionPoolEntry, _: Any) -> None:
    """Refuse a dead connection, so that the pool opens another; costs nothing for one that was just in use."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError("the server closed it")
    idle_since = entry.info.get("idle_since")
    if idle_since is None or time.monotonic() - idle_since < _TRUSTED_IDLE:
        return
    if not connection.run_async(lambda driver: driver.still_works()):
        raise DisconnectionError("it no longer answers")
