"""What tests of the edge may ask for: a small schema behind the real view and middleware, on a real server.

database   a Database on the worker's PostgreSQL, with a table `notes`
edge       starts a `SmallEdge` with the given options and gives it with a client for its origin
a_key      makes a user with an API key, and gives the key's token
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import text
from starlette.types import ASGIApp

from services.backends.database import Database
from services.domain.credentials import mint_api_key
from services.domain.ids import new_id
from services.domain.viewers import Role, Scope
from services.queries.users import insert_key, insert_user
from tests.app.edge.small_edge import SmallEdge, small_edge

Serve = Callable[[ASGIApp], Awaitable[str]]


@dataclass
class RunningEdge:
    """An edge on a real server."""

    edge: SmallEdge
    origin: str
    http: httpx.AsyncClient

    async def ask(self, query: str, **asked: Any) -> httpx.Response:
        """POST an operation; `headers` go to the request, everything else into its body."""
        headers = {"Accept": "application/graphql-response+json"} | asked.pop("headers", {})
        return await self.http.post("/graphql", json={"query": query, **asked}, headers=headers)


Edge = Callable[..., Awaitable[RunningEdge]]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A small pool, and a table to write to."""
    database = Database(url=database_url, pool_min=2, pool_max=5)
    await database.open()
    async with database.connect() as connection:
        await connection.execute(text("CREATE TABLE notes (note text NOT NULL)"))
    yield database
    async with database.connect() as connection:
        await connection.execute(text("DROP TABLE notes"))
        await connection.execute(text("TRUNCATE users CASCADE"))
    await database.close()


@pytest.fixture
async def edge(database: Database, serve: Serve) -> AsyncIterator[Edge]:
    """Starts edges that run as long as the test."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> RunningEdge:
            small = small_edge(database, **options)
            origin = await serve(small.app)
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=origin, timeout=20))
            return RunningEdge(small, origin, http)

        yield start


@pytest.fixture
def a_key(database: Database) -> Callable[..., Awaitable[str]]:
    """Makes users with keys."""

    async def make(
        *, scope: Scope = Scope.WRITE, name: str = "Ada", role: Role = Role.PERSON, expires_at: datetime | None = None
    ) -> str:
        key, user_id = mint_api_key(), new_id()
        async with database.begin() as connection:
            await insert_user(connection, user_id=user_id, name=name, role=role)
            await insert_key(
                connection,
                key_id=key.key_id,
                user_id=user_id,
                name="test",
                secret_hash=key.secret_hash,
                scope=scope,
                expires_at=expires_at,
            )
        return key.token

    return make


@pytest.fixture(autouse=True)
def logged() -> Any:
    """What is logged while the test runs, as structlog's list of events; printing it all would take longer."""
    with structlog.testing.capture_logs() as events:
        yield events
