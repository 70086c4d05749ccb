"""A whole Crier as `make run` starts it, in a process of its own; and waiting for it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60


@dataclass(frozen=True)
class LocalRun:
    """A running `python -m app run`."""

    process: subprocess.Popen[bytes]
    folder: Path
    url: str
    sandbox_url: str

    def token(self, name: str = "demo") -> str:
        """The API key of the demo's person, or of its admin."""
        return (self.folder / f"{name}-token").read_text().strip()

    def ask(self, document: str, variables: dict[str, Any] | None = None, *, token: str | None = None) -> Any:
        """The answer to a GraphQL request."""
        headers = {"authorization": f"Bearer {token or self.token()}"}
        body = {"query": document, "variables": variables}
        return httpx.post(f"{self.url}/graphql", json=body, headers=headers, timeout=30, trust_env=False).json()

    def family(self) -> list[psutil.Process]:
        """Everything that belongs to this run: its children, and what runs on its data folder."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [*children, *servers_in(self.folder)]

    def family_names(self) -> set[str]:
        """What its processes are called; some come and go."""
        names = set()
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                names.add(process.name())
        return names

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(40)

    def end(self) -> None:
        """Whatever still runs of it does so no longer."""
        if self.process.poll() is None:
            family = self.family()
            self.process.kill()
            self.process.wait(10)
            psutil.wait_procs(family, timeout=20)  # its servers end by themselves, and write until they have


def servers_in(folder: Path) -> list[psutil.Process]:
    """PostgreSQL and Redis processes whose files lie in this folder."""
    found = []
    for process in psutil.process_iter(["name", "cmdline", "cwd"]):
        told = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if process.info["name"] in ("postgres", "redis-server") and any(str(folder) in word for word in told):
            found.append(process)
    return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_answering(run: LocalRun) -> bool:
    """Whether the API is up."""
    assert run.process.poll() is None, "the process ended"
    try:
        return httpx.get(f"{run.url}/api/v1/health", timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(is_so: Callable[[], bool], complaint: str, *, seconds: float) -> None:
    """Wait, within reason."""
    give_up_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < give_up_at, complaint
        time.sleep(0.05)


def start_local_run(folder: Path, **settings: str) -> LocalRun:
    """Start Crier on a data folder and wait until it answers."""
    port, sandbox_port = free_port(), free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    own = {"PORT": str(port), "SANDBOX_PORT": str(sandbox_port), "DATA_DIR": str(folder), "DB_POOL_MIN": "2"}
    with (folder.parent / f"{folder.name}-run.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "run"], cwd=ROOT, env={**kept, **own, **settings}, stdout=log, stderr=log
        )
    run = LocalRun(process, folder, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}")
    try:
        wait_until(lambda: is_answering(run), f"no answer; see {log.name}", seconds=START_SECONDS)
    except BaseException:
        run.end()
        raise
    return run


@pytest.fixture
def start_run(data_dir: Path) -> Iterator[Callable[..., LocalRun]]:
    """Starts Crier in this test's data folder and waits until it answers; what is left of it ends with the test."""
    started: list[LocalRun] = []

    def start(**settings: str) -> LocalRun:
        run = start_local_run(data_dir, **settings)
        started.append(run)
        return run

    yield start
    for run in started:
        run.end()
