"""The API as a deployment runs it: `python -m app serve`, a process of its own before the run's servers."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from services.backends.database import Database
from services.domain.credentials import mint_api_key
from services.domain.viewers import Scope, Viewer
from services.queries.users import insert_key
from tests.children import as_child
from tests.end_to_end.local_run import free_port

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class LiveApi:
    """A running process that serves the API."""

    url: str
    log: Path

    @property
    def socket_url(self) -> str:
        """The GraphQL endpoint for WebSockets."""
        return self.url.replace("http", "ws", 1) + "/graphql"

    def complaints(self) -> Iterator[dict[str, Any]]:
        """What it logged as an error of its own, and everything that is no event: a traceback that nobody caught."""
        for line in self.log.read_text().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                yield {"event": line}
                continue
            if event.get("level") in ("error", "critical") or "exception" in event:
                yield event


@asynccontextmanager
async def live_api(*, database_url: str, redis_url: str, folder: Path, **settings: str) -> AsyncIterator[LiveApi]:
    """Serves as long as the block runs; `settings` are variables of its environment."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(folder),
        "PORT": str(port),
        "DB_POOL_MIN": "2",
        "LOG_FORMAT": "json",
    }
    api = LiveApi(f"http://127.0.0.1:{port}", folder / "serve.log")
    with api.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app",
            "serve",
            cwd=ROOT,
            env=environment | settings,
            stdout=log,
            stderr=log,
            **as_child(),
        )
    try:
        await _answering(api, process)
        yield api
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def give_key(database: Database, viewer: Viewer, scope: Scope | None = None) -> str:
    """A new API key of somebody's, as far-reaching as the viewer is unless told otherwise."""
    key = mint_api_key()
    async with database.begin() as c:
        await insert_key(
            c,
            key_id=key.key_id,
            user_id=viewer.user.id,
            name="test",
            secret_hash=key.secret_hash,
            scope=scope or viewer.scope,
        )
    return key.token


async def _answering(api: LiveApi, process: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(600):
            assert process.returncode is None, f"it ended: {api.log.read_text()}"
            try:
                await client.get(f"{api.url}/api/v1/health")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    raise AssertionError(f"no answer: {api.log.read_text()}")
