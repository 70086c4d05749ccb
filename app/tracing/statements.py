"""Connections whose statements are spans; parameters never are in them."""

from collections.abc import Iterable
from typing import Any

import asyncpg
from opentelemetry.trace import Tracer

from app.tracing.spans import child
from services.backends.statements import BoundedConnection, BoundedStatement

_LONGEST_TEXT = 2_000


def traced_connection(tracer: Tracer) -> type[BoundedConnection]:
    """A class of connections: asyncpg makes them, and takes no arguments for that."""

    class TracedConnection(BoundedConnection):
        """BEGIN, COMMIT and each statement show for how long they were waited for."""

        async def prepare(self, query: str, **options: Any) -> Any:
            """A prepared statement whose runs are spans."""
            return TracedStatement(tracer, query, await super().prepare(query, **options))

        async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 — asyncpg's
            """One or more commands: BEGIN with its limits, COMMIT."""
            with child(tracer, _name(query), _describe(query)):
                return await super().execute(query, *args, timeout=timeout)

        async def executemany(self, command: str, args: Iterable[Any], *, timeout: float | None = None) -> None:  # noqa: ASYNC109 — asyncpg's
            """One command with many sets of arguments."""
            with child(tracer, _name(command), _describe(command)):
                await super().executemany(command, args, timeout=timeout)

        async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
            """One finished answer."""
            with child(tracer, _name(query), _describe(query)):
                return await super().fetchval(query, *args, **options)

        async def fetch_rows(self, sql: str, *args: Any) -> list[asyncpg.Record]:
            """The rows of a statement that goes past SQLAlchemy."""
            with child(tracer, _name(sql), _describe(sql)) as span:
                rows = await super().fetch_rows(sql, *args)
                if span is not None:
                    span.set_attribute("db.response.returned_rows", len(rows))
                return rows

    return TracedConnection


class TracedStatement:
    """A prepared statement as SQLAlchemy uses it; kept by it, and run many times."""

    def __init__(self, tracer: Tracer, query: str, statement: BoundedStatement) -> None:
        self._tracer = tracer
        self._statement = statement
        self._name = _name(query)
        self._attributes = _describe(query)
        self.get_attributes = statement.get_attributes
        self.get_statusmsg = statement.get_statusmsg
        self.cursor = statement.cursor

    async def fetch(self, *args: Any) -> list[asyncpg.Record]:
        """All rows."""
        with child(self._tracer, self._name, self._attributes) as span:
            rows = await self._statement.fetch(*args)
            if span is not None:
                span.set_attribute("db.response.returned_rows", len(rows))
            return rows


def _name(query: str) -> str:
    return query.split(None, 1)[0].rstrip(";").upper()


def _describe(query: str) -> dict[str, str | int]:
    return {"db.system.name": "postgresql", "db.query.text": query[:_LONGEST_TEXT]}
