"""Clocks that a test moves by hand, a road to Redis that it can cut, and circuit breakers at its end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.backends.database import Database
from services.backends.redis import RedisGate
from services.domain.breakers import BreakerPolicy, Transition
from services.guards.circuit_breaker import CircuitBreakerService
from tests.services.guards.breaker_calls import Wall

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class DatabaseClock:
    """What the SQL expression `sql` says; the same for every connection, as a server's own clock is."""

    sql = "(SELECT now FROM clock_of_tests)"

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.now = NOON

    async def create(self) -> None:
        """Start at noon."""
        async with self._engine.begin() as connection:
            await connection.execute(text("CREATE TABLE clock_of_tests (now timestamptz NOT NULL)"))
            await connection.execute(text("INSERT INTO clock_of_tests VALUES (:now)"), {"now": self.now})

    async def drop(self) -> None:
        """Leave nothing behind."""
        async with self._engine.begin() as connection:
            await connection.execute(text("DROP TABLE IF EXISTS clock_of_tests"))

    async def set(self, now: datetime) -> None:
        """Make it this late."""
        self.now = now
        async with self._engine.begin() as connection:
            await connection.execute(text("UPDATE clock_of_tests SET now = :now"), {"now": now})

    async def advance(self, span: timedelta) -> None:
        """Let time pass."""
        await self.set(self.now + span)


@pytest.fixture
async def pool(database: AsyncEngine, database_url: str) -> AsyncIterator[Database]:
    """The database as services see it."""
    pool = Database(url=database_url, pool_min=1, pool_max=8)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
async def clock(database: AsyncEngine) -> AsyncIterator[DatabaseClock]:
    """A clock that stands at noon until the test moves it."""
    clock = DatabaseClock(database)
    await clock.create()
    yield clock
    await clock.drop()


class RedisRoad:
    """The way to Redis through a proxy of the test's own, which can be cut and frozen."""

    def __init__(self, redis_url: str) -> None:
        self._target = parse_url(redis_url)
        self._connections: set[asyncio.StreamWriter] = set()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"redis://127.0.0.1:{self._port}/{self._target.get('db', 0)}"

    async def mend(self) -> None:
        """Let traffic pass; the port stays the same for the whole test."""
        self._is_open.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse connections and drop those there are, as a killed Redis does."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.transport.abort()

    def freeze(self) -> None:
        """Accept everything and answer nothing, as a stopped Redis does."""
        self._is_open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if path := self._target.get("path"):
            back_reader, back_writer = await asyncio.open_unix_connection(path)
        else:
            back_reader, back_writer = await asyncio.open_connection(self._target["host"], self._target["port"])
        mine = {writer, back_writer}
        self._connections |= mine
        try:
            await asyncio.gather(self._pass(reader, back_writer), self._pass(back_reader, writer))
        except OSError:
            return
        finally:
            self._connections -= mine
            for connection in mine:
                connection.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._is_open.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture
async def road(redis: Redis, redis_url: str) -> AsyncIterator[RedisRoad]:
    """A road to Redis that is open."""
    road = RedisRoad(redis_url)
    await road.mend()
    yield road
    road.freeze()
    await road.cut()


@pytest.fixture
async def gate(road: RedisRoad) -> AsyncIterator[RedisGate]:
    """A gate at the end of the road, patient enough for a busy machine."""
    gate = RedisGate(url=road.url, timeout=timedelta(seconds=1))
    yield gate
    await gate.close()


@pytest.fixture
def wall() -> Wall:
    """Noon."""
    return Wall()


@pytest.fixture
def told() -> list[tuple[str, Transition]]:
    """What the listener heard."""
    return []


@pytest.fixture
def build(gate: RedisGate, wall: Wall, told: list[tuple[str, Transition]]) -> Callable[..., CircuitBreakerService]:
    """A service as one process has it; all that a test builds share Redis."""

    def build(**policy: Any) -> CircuitBreakerService:
        return CircuitBreakerService(
            gate=gate,
            policy=BreakerPolicy(**policy),
            on_transition=lambda name, change: told.append((name, change)),
            clock=wall,
        )

    return build


@pytest.fixture
def breakers(build: Callable[..., CircuitBreakerService]) -> CircuitBreakerService:
    """The service under test."""
    return build()
