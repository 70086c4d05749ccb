"""What a process carries: only what its command needs, since every process of a deployment pays for it. What it needed
for a while goes back to the system."""

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.end_to_end.local_run import free_port
from tests.live import live_api
from tests.rig import KEY, Rig
from tests.worker_processes import answers, log_of, worker_processes

EVERY_IMPORT = {"PYTHONPROFILEIMPORTTIME": "1"}
"""Has Python write a line for each module that it loads."""
NEITHER_NEEDS = (
    "app.demo",
    "app.embedded.postgres",  # both servers have an address
    "app.local",
    "app.migrating",
    "app.sandbox",
    "app.tracing",
    "alembic",
    "joserfc",  # no JWTs are taken
    "cryptography.hazmat",  # nobody's token was sealed or opened
    "obstore",  # nobody has sent a file
    "opentelemetry.context",  # redis-py would load all of it by itself
    "opentelemetry.exporter",
    "opentelemetry.sdk.trace",
    "PIL",  # nobody has sent a picture
    "typer",
)


def loaded(log: str) -> set[str]:
    """The modules that a process imported, and the packages they are in."""
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \| *(\S+)$", log, re.MULTILINE)
    return {".".join(parts[:end]) for parts in (name.split(".") for name in names) for end in range(1, len(parts) + 1)}


async def test_an_api_process_carries_only_what_serves(
    database_url: str, redis_url: str, database: AsyncEngine, redis: Redis, tmp_path: Path
) -> None:
    """In production and with the plainest settings; it has answered by then."""
    settings = EVERY_IMPORT | {"ENVIRONMENT": "production", "SECRET_KEYS": KEY}

    async with live_api(database_url=database_url, redis_url=redis_url, folder=tmp_path, **settings) as api:
        found = loaded(api.log.read_text())

    assert "app.graphql" in found
    assert found.intersection(NEITHER_NEEDS) == set()


async def test_a_worker_carries_only_what_publishes(rig: Rig) -> None:
    """It answers for its health, and has no GraphQL to answer."""
    port = free_port()

    with worker_processes(rig, 1, **EVERY_IMPORT, WORKER_PORT=str(port)):
        answers(f"http://127.0.0.1:{port}/api/v1/health")
        found = loaded(log_of(rig))

    assert "services.publishing.publisher" in found
    assert found.intersection(NEITHER_NEEDS) == set()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others give back by themselves, or cannot be asked")
def test_what_a_burst_took_goes_back() -> None:
    """Although pieces still in use lie between what is free, which holds glibc itself from giving any back."""
    program = """
import asyncio, os
import app.memory

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")

async def main():
    app.memory._GIVES_BACK_EVERY = 0.2
    app.memory.settle_memory()
    burst = [bytes(40_000 if number % 2 else 600) for number in range(2_000)]
    del burst[1::2]
    before = resident()
    await asyncio.sleep(0.1)
    assert resident() > before - 1_000_000, "gone already: this shows nothing"
    await asyncio.sleep(0.5)
    print(before - resident() > 20_000_000, len(burst))

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", "1000"]
