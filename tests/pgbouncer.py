"""A PgBouncer of the test's own, in transaction mode, before the run's PostgreSQL.

PGBOUNCER names the program where it is not on PATH. Without one the tests skip; where REQUIRE_PGBOUNCER is set (in CI)
they fail instead.
"""

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.embedded.children import Child, start_child
from app.embedded.users import choose_user
from tests.end_to_end.local_run import free_port
from tests.faulty import FaultyNetwork, network_before_postgres, through

SERVERS = 2
"""Connections to PostgreSQL that all clients share: fewer than they have themselves, so that they get in each other's
way where they rely on having one for themselves."""
_CONFIG = """
[databases]
* = host=127.0.0.1 port={port} dbname={database} user={user} password={password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {servers}
max_client_conn = 500
server_login_retry = 0.2
"""


@dataclass
class PgBouncer:
    """A running one."""

    folder: Path
    url: str
    port: int
    child: Child | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        guard = os.open(os.devnull, os.O_RDWR)
        try:
            self.child = start_child(
                [_program(), self.folder / "pgbouncer.ini"],
                name="PgBouncer",
                user=choose_user(self.folder),
                folder=self.folder,
                log=self.folder / "pgbouncer.log",
                stop_signal=signal.SIGINT,
                held_open=guard,
            )
        finally:
            os.close(guard)
        self.child.wait_until(self._answers, timeout=10)

    def kill(self) -> None:
        """End it without warning."""
        if self.child is not None:
            self.child.await_end(timeout=0)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


@asynccontextmanager
async def pgbouncer_before(database_url: str) -> AsyncIterator[PgBouncer]:
    """Runs as long as the block does. The network between it and PostgreSQL spares it the way into a folder that is
    another user's."""
    async with network_before_postgres(database_url) as network:
        with tempfile.TemporaryDirectory(prefix="crier-pgbouncer-") as folder:
            bouncer = _configure(Path(folder), database_url, network)
            bouncer.start()
            try:
                yield bouncer
            finally:
                bouncer.kill()


def _configure(folder: Path, database_url: str, network: FaultyNetwork) -> PgBouncer:
    behind, port = make_url(database_url), free_port()
    folder.chmod(0o755)
    config = folder / "pgbouncer.ini"
    config.write_text(
        _CONFIG.format(
            port=network.port,
            database=behind.database,
            user=behind.username,
            password=behind.password,
            listen=port,
            servers=SERVERS,
        )
    )
    config.chmod(0o644)
    url = make_url(through(database_url, network)).set(port=port, password=None)
    return PgBouncer(folder, url.render_as_string(), port)


def _program() -> str:
    program = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if program is not None:
        return program
    if os.environ.get("REQUIRE_PGBOUNCER"):
        pytest.fail("PgBouncer is wanted and not there")
    pytest.skip("PgBouncer (Debian: the package `pgbouncer`) is not on the PATH")
