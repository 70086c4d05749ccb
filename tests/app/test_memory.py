"""What a process carries: only what its command needs, since every process of a deployment pays for it."""

import re
from pathlib import Path

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
