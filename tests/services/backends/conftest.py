"""What the tests of the backends share: the backends on real servers, and faults."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from services.backends.cache import CacheService
from services.backends.database import Database
from services.backends.events import EventBus
from services.backends.outbox import OutboxRelay
from services.backends.redis import RedisGate
from services.backends.transactions import DatabaseTransactionService
from tests.faulty import FaultyNetwork, OwnRedis, network_before_postgres, through
from tests.services.backends.caching import PATIENTLY, make_cache

MakeDatabase = Callable[..., Any]


@pytest.fixture
async def make_database(database_url: str) -> AsyncIterator[MakeDatabase]:
    """Opens databases with the given options, and closes them after the test."""
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> Database:
            defaults: dict[str, Any] = {"url": database_url, "pool_min": 2, "pool_max": 5}
            database = Database(**(defaults | options))
            await database.open()
            stack.push_async_callback(database.close)
            return database

        yield make


@pytest.fixture
async def db(make_database: MakeDatabase) -> AsyncIterator[Database]:
    """A database with a table `things (id int primary key, count int)`, gone afterwards, as is the outbox's content."""
    database = await make_database()
    async with database.connect() as connection:
        await connection.execute(text("CREATE TABLE things (id int PRIMARY KEY, count int NOT NULL DEFAULT 0)"))
        await connection.execute(text("INSERT INTO things SELECT generate_series(1, 3)"))
    yield database
    async with database.connect() as connection:
        await connection.execute(text("DROP TABLE things"))
        await connection.execute(text("DELETE FROM outbox"))


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[FaultyNetwork]:
    """A faulty network before PostgreSQL."""
    async with network_before_postgres(database_url) as network:
        yield network


@pytest.fixture
def url_through_network(database_url: str, network: FaultyNetwork) -> str:
    """The database's URL behind `network`."""
    return through(database_url, network)


@pytest.fixture
async def gate(redis_url: str) -> AsyncIterator[RedisGate]:
    """A gate to the run's Redis, which is emptied afterwards."""
    gate = RedisGate(url=redis_url, timeout=PATIENTLY)
    await gate.open()
    yield gate
    await gate.client.flushdb()
    await gate.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis server that the test may kill and freeze."""
    server = OwnRedis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def own_gate(own_redis: OwnRedis) -> AsyncIterator[RedisGate]:
    """A gate to `own_redis`, which trusts it again as soon as it is back."""
    gate = RedisGate(url=own_redis.url, timeout=timedelta(milliseconds=500), settle=timedelta(0))
    await gate.open()
    yield gate
    await gate.close()


@pytest.fixture
async def relay(db: Database, gate: RedisGate) -> AsyncIterator[OutboxRelay]:
    """The outbox of `db`, told through `gate`."""
    relay = OutboxRelay(database=db, gate=gate)
    yield relay
    await relay.close()


@pytest.fixture
async def transactions(db: Database, relay: OutboxRelay) -> AsyncIterator[DatabaseTransactionService]:
    """Transactions on `db`."""
    service = DatabaseTransactionService(database=db, outbox=relay, random=Random(1))  # noqa: S311 — jitter
    yield service
    await service.close()


@pytest.fixture
async def bus(redis_url: str, gate: RedisGate) -> AsyncIterator[EventBus]:
    """An event bus on the run's Redis."""
    bus = EventBus(url=redis_url, gate=gate)
    await bus.open()
    yield bus
    await bus.close()


@pytest.fixture
async def slow_commits(db: Database) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Makes COMMIT take 0.2 s after an update of `things`; gives a way to wait until one is under way."""

    async def wait_for_commit() -> None:
        running = text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE query = 'COMMIT' AND state = 'active' AND datname = current_database()"
        )
        async with db.connect() as watcher, asyncio.timeout(5):
            while not await watcher.scalar(running):
                await asyncio.sleep(0.005)

    async with db.connect() as connection:
        await connection.execute(
            text(
                "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END'"
            )
        )
        await connection.execute(
            text(
                "CREATE CONSTRAINT TRIGGER pause AFTER UPDATE ON things"
                " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pause()"
            )
        )
    yield wait_for_commit
    async with db.connect() as connection:
        await connection.execute(text("DROP FUNCTION pause CASCADE"))


@pytest.fixture
async def cache(gate: RedisGate) -> AsyncIterator[CacheService]:
    """A cache on the run's Redis."""
    cache = make_cache(gate)
    yield cache
    await cache.close()


@pytest.fixture
async def elsewhere(redis_url: str) -> AsyncIterator[CacheService]:
    """The same cache in another process: nothing shared but Redis."""
    gate = RedisGate(url=redis_url, timeout=PATIENTLY)
    await gate.open()
    cache = make_cache(gate)
    yield cache
    await cache.close()
    await gate.close()
