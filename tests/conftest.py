"""What every test may ask for. PostgreSQL and Redis are real, and started once per run, only if a test needs them.

They live in a throw-away folder without fsync. TEST_DATABASE_URL and TEST_REDIS_URL point the run at others, where it
makes databases of its own (and drops them) and empties the Redis database numbers that it uses, one per worker.

    database_url        str, per session and xdist worker: a migrated database that no other worker sees
    redis_url           str, per session and xdist worker: a Redis database number of its own
    engine              AsyncEngine on database_url, disposed of after the test; what the test writes stays
    database            the same engine; after the test every table is empty again: use this one to write
    redis               redis.asyncio.Redis (bytes) on redis_url; flushed after the test
    data_dir            Path, per test: a data folder for servers of the test's own; it does not exist yet
    empty_database_url  str, per test: a database with nothing in it, not even migrations; dropped after the test
"""

import asyncio
import gc
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from alembic import command
from alembic.config import Config
from redis.asyncio import Redis
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.embedded import EmbeddedServers, Endpoints

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class RunServers:
    """The servers of one test run, made by the xdist controller or the sole process."""

    database_url: str
    redis_url: str
    template: str
    """The migrated database that each worker's is copied from."""


SERVERS = pytest.StashKey[RunServers]()
CLEAN_UP = pytest.StashKey[ExitStack]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the servers to an xdist worker that is about to start."""
    node.workerinput["crier_servers"] = asdict(run_servers(node.config))


def pytest_collection_finish() -> None:
    """Take what all tests share out of the garbage collector's sight: to look through it holds a process up for most of
    a second, and with it whatever a test times or has locked."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what this process started."""
    if CLEAN_UP in config.stash:
        config.stash[CLEAN_UP].close()


def run_servers(config: pytest.Config) -> RunServers:
    """The run's servers: handed to an xdist worker, else started at the first call."""
    if SERVERS not in config.stash:
        handed = getattr(config, "workerinput", {}).get("crier_servers")
        config.stash[SERVERS] = (
            RunServers(**handed) if handed else start_servers(config.stash.setdefault(CLEAN_UP, ExitStack()))
        )
    return config.stash[SERVERS]


def start_servers(clean_up: ExitStack) -> RunServers:
    """Start those servers for which the environment names no other, and migrate the template."""
    given = Endpoints(
        database_url=os.environ.get("TEST_DATABASE_URL", ""),
        redis_url=os.environ.get("TEST_REDIS_URL", ""),
    )
    folder = clean_up.enter_context(tempfile.TemporaryDirectory(prefix="crier-tests-"))
    own = clean_up.enter_context(
        EmbeddedServers(
            data_dir=Path(folder), postgres=not given.database_url, redis=not given.redis_url, durable=False
        )
    )
    database_url = given.database_url or own.database_url
    template = f"crier_template_{secrets.token_hex(4)}"
    clean_up.callback(drop_database, database_url, template)
    migrate(create_database(database_url, template))
    return RunServers(database_url=database_url, redis_url=given.redis_url or own.redis_url, template=template)


def migrate(database_url: str) -> None:
    """Bring a database to the newest revision."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))

    def upgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async def connect() -> None:
        async with connected(database_url) as engine, engine.connect() as connection:
            await connection.run_sync(upgrade)

    wait_for(connect())


def create_database(server_url: str, name: str, *, template: str = "template1") -> str:
    """Make a database, and give its URL."""
    wait_for(execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    return (
        make_url(server_url).set(drivername="postgresql+asyncpg", database=name).render_as_string(hide_password=False)
    )


def drop_database(server_url: str, name: str) -> None:
    """Drop a database, whoever is still connected."""
    wait_for(execute(server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


async def execute(database_url: str, statement: str) -> None:
    """Run one statement outside of any transaction."""
    async with connected(database_url) as engine, engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text(statement))


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine that keeps no connection."""
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    try:
        yield engine
    finally:
        await engine.dispose()


def wait_for(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in another thread, so that pytest-asyncio's loop in this one is left alone."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()


def worker_number(config: pytest.Config) -> int:
    """0 for gw0 and for a run without xdist."""
    return int(getattr(config, "workerinput", {}).get("workerid", "gw0").removeprefix("gw"))


@pytest.fixture(scope="session")
def database_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """A migrated database of this worker's own."""
    servers = run_servers(pytestconfig)
    name = f"crier_test_{secrets.token_hex(4)}"
    yield create_database(servers.database_url, name, template=servers.template)
    drop_database(servers.database_url, name)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder on a short path that every user can enter.

    tmp_path is closed to others: servers started by root would have to put their data under /var/lib.
    """
    with tempfile.TemporaryDirectory(prefix="crier-test-") as parent:
        Path(parent).chmod(0o755)
        yield Path(parent) / "data"


@pytest.fixture
def empty_database_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """A new database without any table."""
    servers = run_servers(pytestconfig)
    name = f"crier_test_{secrets.token_hex(4)}"
    yield create_database(servers.database_url, name, template="template0")
    drop_database(servers.database_url, name)


@pytest.fixture(scope="session")
def redis_url(pytestconfig: pytest.Config) -> str:
    """A Redis database number of this worker's own."""
    address, _, options = run_servers(pytestconfig).redis_url.partition("?")
    return f"{address}?{urlencode(dict(parse_qsl(options)) | {'db': str(worker_number(pytestconfig))})}"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the worker's database."""
    engine = create_async_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def database(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """An engine on a database that is emptied afterwards."""
    yield engine
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL lock_timeout = '10s'"))  # a transaction left open is the test's fault
        await connection.execute(text(EMPTY_ALL_TABLES))


EMPTY_ALL_TABLES = """
DO $$
DECLARE
    candidate text;
    is_filled boolean;
    filled text[];
BEGIN
    FOR candidate IN
        SELECT oid::regclass FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', candidate) INTO is_filled;
        IF is_filled THEN
            filled := filled || candidate;
        END IF;
    END LOOP;
    IF filled IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || array_to_string(filled, ', ') || ' RESTART IDENTITY CASCADE';
    END IF;
END $$
"""
"""Truncates only tables that have rows: a TRUNCATE costs milliseconds, looking costs none."""


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client on the worker's Redis database, which is emptied afterwards."""
    client = Redis.from_url(redis_url)
    yield client
    await client.flushdb()
    await client.aclose()
