"""A Redis with a replica, and three sentinels that put the one in the other's place: all real, and all to be killed."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from redis import Redis, RedisError

from tests.children import as_child
from tests.end_to_end.local_run import free_port
from tests.faulty import redis_program

NAME = "crier"
SECRET = "a secret of sentinels"
PASSWORD = "p/a@s?s:wörd"
"""Every character that means something in a URL."""
NOTICED_WITHIN = 500
"""Milliseconds of silence after which a sentinel takes a server for dead."""
_PATIENCE = 20.0


@dataclass
class Server:
    """One process that speaks Redis' protocol; `options` are its settings, without the leading dashes."""

    program: Sequence[str | Path]
    folder: Path
    port: int
    password: str | None = None
    tls: Path | None = None
    """Certificate, key and authority in one file; None: it speaks plainly."""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, config: Sequence[str] = (), *flags: str) -> None:
        """Start it; `config` is for the first start, later ones find what the server made of it."""
        path = self.folder / f"{self.port}.conf"
        if not path.exists():
            path.write_text("\n".join((*self._listening(), f"dir {self.folder}", *config)) + "\n")
        executable, *named = self.program
        self._process = subprocess.Popen(
            [*named, path, *flags],
            executable=executable,
            stdout=(self.folder / f"{self.port}.log").open("ab"),
            **as_child(signal.SIGKILL),
        )
        until(self.answers, f"what listens at {self.port} did not start")

    def _listening(self) -> Iterator[str]:
        if self.tls is None:
            yield from ("bind 127.0.0.1", f"port {self.port}")
            return
        yield from ("bind 127.0.0.1", "port 0", f"tls-port {self.port}", "tls-auth-clients no", "tls-replication yes")
        yield from (f"{name} {self.tls}" for name in ("tls-cert-file", "tls-key-file", "tls-ca-cert-file"))

    def client(self) -> Redis:
        """A plain client, for looking."""
        secure = {} if self.tls is None else {"ssl": True, "ssl_ca_certs": str(self.tls)}
        return Redis(host="127.0.0.1", port=self.port, password=self.password, socket_timeout=1, **secure)  # type: ignore[arg-type] # theirs

    def answers(self) -> bool:
        """Whether it is there."""
        with suppress(RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def kill(self) -> None:
        """End it without warning."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Guarded:
    """The whole set-up."""

    servers: list[Server]
    sentinels: list[Server]

    @property
    def url(self) -> str:
        """How Crier is told of it."""
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        tls = self.servers[0].tls
        options = f"sentinel_password={quote(SECRET)}" + (f"&ssl_ca_certs={tls}" if tls else "")
        return f"redis{'s' if tls else ''}+sentinel://:{quote(PASSWORD, safe='')}@{hosts}/{NAME}/0?{options}"

    def master(self) -> Server:
        """Who is master, as the sentinels see it."""
        for sentinel in self.sentinels:
            with suppress(RedisError), sentinel.client() as client:
                _, port = client.sentinel_get_master_addr_by_name(NAME)
                return next(one for one in self.servers if one.port == port)
        raise AssertionError("no sentinel answers")

    def fail_over(self) -> Server:
        """Have the sentinels make the replica the master, though nothing is wrong; gives who was it before."""
        before = self.master()
        with self.sentinels[0].client() as client:
            client.execute_command("SENTINEL", "FAILOVER", NAME)
        until(lambda: self.master() is not before, "nobody took over")
        return before


@contextmanager
def guarded_redis(folder: Path, *, program: Path | None = None, tls: Path | None = None) -> Iterator[Guarded]:
    """Two servers and three sentinels, as soon as all know of one another."""
    named = [program or redis_program(), "redis-server"]
    servers = [Server(named, folder, free_port(), PASSWORD, tls) for _ in range(2)]
    sentinels = [Server(named, folder, free_port(), SECRET, tls) for _ in range(3)]
    with ExitStack() as stack:
        both = (f'requirepass "{PASSWORD}"', f'masterauth "{PASSWORD}"', 'save ""', "repl-diskless-sync-delay 0")
        for server, more in zip(servers, ((), (f"replicaof 127.0.0.1 {servers[0].port}",)), strict=True):
            server.start((*both, *more))
            stack.callback(server.kill)
        watch = (
            f"sentinel monitor {NAME} 127.0.0.1 {servers[0].port} 2",
            f'sentinel auth-pass {NAME} "{PASSWORD}"',
            f"sentinel down-after-milliseconds {NAME} {NOTICED_WITHIN}",
            f"sentinel failover-timeout {NAME} 3000",
            f'requirepass "{SECRET}"',
            f'sentinel sentinel-pass "{SECRET}"',
        )
        for sentinel in sentinels:
            sentinel.start(watch, "--sentinel")
            stack.callback(sentinel.kill)
        until(lambda: all(map(_knows_all, sentinels)), "the sentinels did not find one another")
        yield Guarded(servers, sentinels)


def find_redis_with_tls(folder: Path) -> Path | None:
    """A Redis of this machine that was built with TLS; Debian's redis-tools carry the server by another name."""
    found = (shutil.which(name) for name in ("redis-server", "redis-check-rdb"))
    return next((Path(one) for one in found if one is not None and _knows_tls(one, folder / "asked.sock")), None)


def _knows_tls(program: str, socket: Path) -> bool:
    """Whether it starts at all where TLS is spoken of."""
    asked = subprocess.Popen(
        ["redis-server", "--port", "0", "--tls-port", "0", "--unixsocket", socket],
        executable=program,
        stdout=subprocess.DEVNULL,
        **as_child(signal.SIGKILL),
    )
    try:
        until(lambda: socket.exists() or asked.poll() is not None, "it neither starts nor ends")
        return socket.exists()
    finally:
        asked.kill()
        asked.wait()


def until(is_so: Callable[[], bool], otherwise: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def _knows_all(sentinel: Server) -> bool:
    with suppress(RedisError), sentinel.client() as client:
        state = client.sentinel_masters()[NAME]
        return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == 1)
    return False
