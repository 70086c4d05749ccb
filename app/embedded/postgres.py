"""The PostgreSQL cluster: made once, started, and asked whether it takes connections."""

import secrets
import shutil
import signal
import struct
from pathlib import Path
from typing import IO
from urllib.parse import quote

from app.embedded.binaries import find_postgres
from app.embedded.children import Child, start_child
from app.embedded.errors import EmbeddedServersUnavailable
from app.embedded.ownership import RunningServer
from app.embedded.placement import Placement
from app.embedded.sockets import ask
from app.embedded.users import hand_over, initdb_user

_PORT = 5432  # part of the socket's name; nothing listens on TCP
_NAME = "crier"  # of the role and of the database
_PASSWORD_FILE = "crier-password"  # noqa: S105 — the name of a file; inside the cluster, so that both come and go as one
_PROTOCOL_3 = 196608

_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "jit": "off",  # short statements: compiling them costs more than it gives
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "logging_collector": "off",
}
_THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "300",  # whole systems of several processes run side by side in tests
}


class Postgres:
    """PostgreSQL 18 in `place.folder/postgres`, its socket in `sockets`."""

    def __init__(self, *, place: Placement, sockets: Path, log: Path, durable: bool) -> None:
        self._place = place
        self._programs = find_postgres(place)
        self._sockets = sockets
        self._log = log
        self._durable = durable
        self._cluster = place.folder / "postgres"

    def start(self, *, held_open: int) -> Child:
        """Start the server, on a new cluster if there is none."""
        if not self._cluster.exists():
            self._make_cluster(held_open)
        hand_over(self._cluster, self._place.user)
        self._forget_dead_server()
        return start_child(
            [self._programs / "postgres", "-D", self._cluster, *self._settings()],
            name="PostgreSQL",
            user=self._place.user,
            folder=self._cluster,
            log=self._log,
            stop_signal=signal.SIGINT,  # fast shutdown; SIGTERM would wait for every client
            held_open=held_open,
        )

    def socket(self) -> Path:
        """Where it listens."""
        return self._sockets / f".s.PGSQL.{_PORT}"

    def url(self) -> str:
        """Where to connect, password included."""
        password = (self._cluster / _PASSWORD_FILE).read_text()
        return f"postgresql+asyncpg://{_NAME}:{password}@/{_NAME}?host={quote(str(self._sockets))}&port={_PORT}"

    @staticmethod
    def answers(running: RunningServer) -> bool:
        """Whether it takes connections: it asks for the password (R) only once recovery is over."""
        parameters = f"user\0{_NAME}\0database\0{_NAME}\0\0".encode()
        startup = struct.pack("!ii", 8 + len(parameters), _PROTOCOL_3) + parameters
        return ask(running.socket, startup, pid=running.process.pid).startswith(b"R")

    def _settings(self) -> list[str]:
        settings = (
            _SETTINGS | ({} if self._durable else _THROW_AWAY) | {"unix_socket_directories": f'"{self._sockets}"'}
        )
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _make_cluster(self, held_open: int) -> None:
        """Build the cluster beside its place and rename it once whole: what a killed initdb leaves does not count."""
        workshop = self._place.folder / "postgres.new"
        shutil.rmtree(workshop, ignore_errors=True)
        workshop.mkdir(mode=0o700)
        cluster, password_file, statement = workshop / "postgres", workshop / "password", workshop / "statement"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_hex(24))
        statement.write_text(f"ALTER DATABASE postgres RENAME TO {_NAME};\n")  # a copy would be 300 more files
        hand_over(workshop, initdb_user(self._place.user))

        self._run(held_open, "initdb", "-D", cluster, *_initdb_options(password_file))
        with statement.open("rb") as says:
            self._run(held_open, "postgres", "--single", "-F", "-D", cluster, "template1", says=says)
        password_file.rename(cluster / _PASSWORD_FILE)
        if self._durable:
            self._run(held_open, "initdb", "-D", cluster, "--sync-only")

        hand_over(cluster, self._place.user)
        cluster.rename(self._cluster)
        shutil.rmtree(workshop)

    def _run(self, held_open: int, program: str, *options: str | Path, says: IO[bytes] | None = None) -> None:
        start_child(
            [self._programs / program, *options],
            name=program,
            user=initdb_user(self._place.user),
            folder=self._place.folder,
            log=self._log,
            stop_signal=signal.SIGKILL,
            held_open=held_open,
            says=says,
        ).await_success()

    def _forget_dead_server(self) -> None:
        """Remove the pid file of a killed server, whose number may be another program's by now.

        We hold the lock, so no server of ours is left; one that somebody started by hand is seen by its folder.
        """
        pid_file = self._cluster / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = pid_file.read_text().split("\n")[0]
        working_folder = Path("/proc") / pid / "cwd"
        if working_folder.exists() and working_folder.samefile(self._cluster):
            raise EmbeddedServersUnavailable(f"process {pid}, not ours, serves {self._cluster}: end it first")
        pid_file.unlink()


def _initdb_options(password_file: Path) -> list[str | Path]:
    return [
        f"--username={_NAME}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
        # Rounds of hashing slow down guessing of short passwords; ours is 192 random bits, and every connection pays.
        "--set=scram_iterations=1",
    ]
