"""EmbeddedServers: PostgreSQL and Redis for whoever has no URL for them."""

import contextlib
import os
import subprocess
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType

import structlog

from app.embedded.children import Child, ProcessIdentity
from app.embedded.errors import EmbeddedServersUnavailable
from app.embedded.ownership import FolderLock, RunningServer, RunningServers
from app.embedded.placement import place_servers
from app.embedded.postgres import Postgres
from app.embedded.redis import Redis
from app.embedded.sockets import make_socket_folder
from app.endpoints import Endpoints

_log = structlog.get_logger(__name__)

_KINDS: dict[str, type[Postgres] | type[Redis]] = {"redis": Redis, "postgres": Postgres}
"""In the order of their start: Redis loads its data while PostgreSQL makes its cluster."""

_READY_SECONDS = 120.0  # recovery after a crash may take long; a server that ends is noticed at once
_JOIN_SECONDS = 60.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.01


class EmbeddedServers:
    """PostgreSQL and Redis as children of this process, with their data in `data_dir`.

    The first process that starts in a data folder owns the servers: they end when it stops or dies, even by kill -9.
    Later processes join them. If the owner goes while a joiner lives, the joiner's connections fail until somebody owns
    the servers again: sockets and passwords stay the same, so it goes on by itself.
    """

    def __init__(self, *, data_dir: Path, postgres: bool = True, redis: bool = True, durable: bool = True) -> None:
        self._data_dir = data_dir.resolve()
        self._wanted = {name for name, is_wanted in (("postgres", postgres), ("redis", redis)) if is_wanted}
        self._durable = durable
        self._lock = FolderLock(self._data_dir / "servers.lock")
        self._state = self._data_dir / "servers.json"
        self._children: list[Child] = []
        self._ending = ExitStack()

    def start(self) -> Endpoints:
        """Start the servers or join those that run; from the main thread only.

        Raises EmbeddedServersUnavailable with one line that says what to do.
        """
        if threading.current_thread() is not threading.main_thread():
            # Linux ties a child's life to the thread that started it, not to the process.
            raise EmbeddedServersUnavailable("embedded servers can be started from the main thread only")
        if not self._wanted:
            return Endpoints(database_url="", redis_url="")
        try:
            return self._own_or_join()
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedServersUnavailable(f"no embedded servers in {self._data_dir}: {error}") from error

    def stop(self) -> None:
        """End the servers if they are ours: gently, after 15 s by force. Calling it again does nothing."""
        self._ending.close()

    def __enter__(self) -> Endpoints:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _own_or_join(self) -> Endpoints:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + _JOIN_SECONDS
        while not self._lock.try_acquire():
            running = RunningServers.read(self._state)
            if running is not None and _can_join(running):
                return self._endpoints(running)
            if time.monotonic() > deadline:
                raise EmbeddedServersUnavailable(
                    f"another process holds {self._data_dir}/servers.lock and its servers do not answer: end it first"
                )
            time.sleep(_POLL_SECONDS)
        try:
            self._ending.callback(self._lock.release)
            return self._own()
        except BaseException:
            self.stop()
            raise

    def _own(self) -> Endpoints:
        self._state.unlink(missing_ok=True)
        servers = self._make_servers()

        self._ending.callback(self._end_children)
        running = RunningServers(ProcessIdentity.of(os.getpid()), servers={})
        for name, server in servers.items():
            child = server.start(held_open=self._lock.descriptor)
            self._children.append(child)
            running.servers[name] = RunningServer(child.identity, server.socket(), server.url())
        for child, name in zip(self._children, servers, strict=True):
            child.wait_until(partial(_KINDS[name].answers, running.servers[name]), timeout=_READY_SECONDS)

        self._ending.callback(self._state.unlink, missing_ok=True)
        running.write(self._state)
        return self._endpoints(running)

    def _make_servers(self) -> dict[str, Postgres | Redis]:
        place = place_servers(self._data_dir)
        if place.folder != self._data_dir:
            _log.warning(
                "data_dir_is_closed_to_the_servers",
                data_dir=str(self._data_dir),
                uid=place.user.uid,
                their_data_is_in=str(place.folder),
            )
        sockets = make_socket_folder(place)
        self._ending.callback(_remove_if_empty, sockets)
        logs = self._data_dir / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        return {
            name: kind(place=place, sockets=sockets, log=logs / f"{name}.log", durable=self._durable)
            for name, kind in _KINDS.items()
            if name in self._wanted
        }

    def _end_children(self) -> None:
        for child in self._children:
            child.ask_to_stop()
        deadline = time.monotonic() + _STOP_SECONDS
        for child in self._children:
            child.await_end(timeout=max(0.0, deadline - time.monotonic()))
        self._children.clear()

    def _endpoints(self, running: RunningServers) -> Endpoints:
        missing = self._wanted - running.servers.keys()
        if missing:
            raise EmbeddedServersUnavailable(
                f"process {running.owner.pid} owns {self._data_dir} and runs no {' and no '.join(sorted(missing))}:"
                " start all of Crier with the same DATABASE_URL and REDIS_URL"
            )
        urls = {name: server.url for name, server in running.servers.items() if name in self._wanted}
        return Endpoints(database_url=urls.get("postgres", ""), redis_url=urls.get("redis", ""))


def _can_join(running: RunningServers) -> bool:
    return running.owner.is_alive() and all(
        server.process.is_alive() and _KINDS[name].answers(server) for name, server in running.servers.items()
    )


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
