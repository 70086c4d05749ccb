"""The three servers, each one process on one core, and what they take."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_CORE = 0
_PATIENCE = 20.0
_UVICORN = ("-m", "uvicorn", "--factory", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level")


@dataclass(frozen=True)
class Server:
    """One that is running."""

    name: str
    port: int
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def megabytes(self) -> float:
        """Resident memory."""
        return float(self.process.memory_info().rss) / 1e6


@contextmanager
def crier(database_url: str, redis_url: str, folder: Path, *, python: str) -> Iterator[Server]:
    """As shipped, in production mode: keys, limits, budgets, codes and logs on; the budget is one that lasts. `python`
    is of an environment with what is shipped."""
    settings = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEYS": secrets.token_hex(32),
        "API_BUDGET": "1000000000",
        "DATA_DIR": str(folder),
    }
    with _running("crier", [python, "-m", "app", "serve"], settings) as server:
        yield server


@contextmanager
def by_hand(database_url: str) -> Iterator[Server]:
    """The limit."""
    command = [sys.executable, *_UVICORN, "warning", "benchmarks.pages.by_hand:create_app"]
    with _running("by hand", command, {"DATABASE_URL": database_url}) as server:
        yield server


@contextmanager
def by_orm(database_url: str) -> Iterator[Server]:
    """The usual way."""
    command = [sys.executable, *_UVICORN, "warning", "benchmarks.pages.by_orm:create_app"]
    with _running("ORM", command, {"DATABASE_URL": database_url}) as server:
        yield server


def leave_core() -> None:
    """Keep this process, and PostgreSQL and Redis that it starts, off the core of the server that is measured: what it
    does and how its caches stand is then its own, as it is where the database has a machine to itself."""
    others = os.sched_getaffinity(0) - {_CORE}
    if others:
        os.sched_setaffinity(0, others)


def cpu_of(root: psutil.Process) -> float:
    """Seconds of CPU that a process and its children took so far, ended children included."""
    times = root.cpu_times()
    children = (child.cpu_times() for child in root.children(recursive=True))
    own = times.user + times.system + times.children_user + times.children_system
    return float(own + sum(child.user + child.system for child in children))


@contextmanager
def _running(name: str, command: list[str], settings: dict[str, str]) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "UVICORN_PORT": str(port), **settings}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            os.sched_setaffinity(process.pid, {_CORE})
            _wait_for(port, process)
            yield Server(name, port, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it answered")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not answer in time")
