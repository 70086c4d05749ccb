"""Workers as processes of their own, on the rig's servers and sandbox."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.children import as_child
from tests.rig import KEY, Rig

ROOT = Path(__file__).parent.parent
END_SECONDS = 30


@contextmanager
def worker_processes(rig: Rig, count: int, **environment: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many `python -m app worker`; whatever still runs at the end of the block is killed."""
    settings = rig.container.settings
    chosen = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": rig.container.endpoints.database_url,
        "REDIS_URL": rig.container.endpoints.redis_url,
        "SANDBOX_PORT": str(settings.sandbox_port),
        "DATA_DIR": str(settings.data_dir),
        "SECRET_KEYS": KEY,
        "DB_POOL_MIN": "1",
        "LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "app", "worker"]
    log = (settings.data_dir / "workers.log").open("wb")
    workers = [
        subprocess.Popen(command, cwd=ROOT, env=chosen | environment, stderr=log, stdout=log, **as_child())
        for _ in range(count)
    ]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(END_SECONDS)
        log.close()


def log_of(rig: Rig) -> str:
    """What the workers wrote."""
    return (rig.container.settings.data_dir / "workers.log").read_text()


def answers(url: str, *, within: float = END_SECONDS) -> httpx.Response:
    """The first answer of a server that is just starting."""
    deadline = time.monotonic() + within
    while True:
        try:
            return httpx.get(url, trust_env=False)
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)
