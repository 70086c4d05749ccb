"""Where a run takes place: servers of its own, bad networks before each of them, and a crew of worker processes."""

import asyncio
import contextlib
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from app.backends import open_backends
from app.container import Container
from app.embedded import Endpoints
from app.migrating import migrate_database
from app.sandbox.running import SandboxHand
from app.settings import Settings
from services.backends.transactions import Transaction
from services.domain.ids import new_id
from tests.conftest import EMPTY_ALL_TABLES, wait_for
from tests.faults.processes import Order, SandboxProcess, Worker
from tests.faults.wiring import LEASE, Hurried
from tests.faulty import FaultyNetwork, OwnPostgres, OwnRedis, through
from tests.rig import KEY, Rig

PATIENCE = 20
"""Seconds that a process may take to start."""


@dataclass(frozen=True)
class Servers:
    """PostgreSQL, Redis and the sandbox, kept from one run to the next."""

    folder: Path
    postgres: OwnPostgres
    redis: OwnRedis
    sandbox: SandboxHand
    ports: tuple[int, int, int]
    """Where the networks before the three of them listen."""

    @property
    def endpoints(self) -> Endpoints:
        """The servers themselves, past the networks."""
        return Endpoints(database_url=self.postgres.url, redis_url=self.redis.url)


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start them; from the main thread, and end them at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="crier-faults-"))
    folder.chmod(0o755)
    for name in ("postgres", "redis", "deaths"):
        (folder / name).mkdir(mode=0o755)
    postgres, redis = OwnPostgres(folder / "postgres"), OwnRedis(folder / "redis")
    *ports, sandbox_port = _free_ports(4)
    before_sandbox = f"http://127.0.0.1:{ports[2]}"
    sandbox = SandboxProcess(port=sandbox_port, public_url=before_sandbox, log=folder / "sandbox.log")
    try:
        redis.start()
        postgres.start()
        wait_for(migrate_database(postgres.url))
        hand = SandboxHand(f"http://127.0.0.1:{sandbox_port}")
        _await_answer(hand)
        yield Servers(folder, postgres, redis, hand, (ports[0], ports[1], ports[2]))
    finally:
        sandbox.end()
        redis.thaw()
        redis.kill()
        postgres.close()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Stage:
    """One crew at work, and everything that a nemesis can lay hands on."""

    servers: Servers
    rig: Rig
    to_postgres: FaultyNetwork
    to_redis: FaultyNetwork
    to_platforms: FaultyNetwork
    crew: "Crew"

    @property
    def sandbox(self) -> SandboxHand:
        """The hand on the platforms, past the network."""
        return self.servers.sandbox

    def heal(self) -> None:
        """End every trouble that still lasts; what waits at a step or a route still happens."""
        for network in (self.to_postgres, self.to_redis, self.to_platforms):
            network.heal()
        self.servers.redis.thaw()
        self.crew.heal()

    async def clear(self) -> None:
        """As on the first day: no posts, no visits, no death or trouble waiting, nothing in Redis."""
        self.crew.strange_ends.clear()
        for death in (self.servers.folder / "deaths").iterdir():
            death.unlink()
        self.sandbox.reset()
        with contextlib.suppress(Exception):
            await self.rig.container.backends.gate.client.flushall()
        await self.rig.container.backends.transactions.execute_in_transaction(_empty)


class Crew:
    """So many workers, each replaced as soon as it is gone, as an init system would."""

    def __init__(self, order: Order, size: int) -> None:
        self.order = order
        self.workers: list[Worker] = [Worker(order) for _ in range(size)]
        self.kills = 0
        self.strange_ends: list[int] = []
        """Exit codes of workers that nobody killed or stopped."""

    async def watch(self) -> None:
        """Replace who is gone, until canceled."""
        while True:
            for place, worker in enumerate(self.workers):
                if worker.exit_code is not None:
                    self._count(worker)
                    self.workers[place] = Worker(self.order)
            await asyncio.sleep(0.02)

    async def begin(self) -> None:
        """Wait until all are at work."""
        while not all(worker.id for worker in self.workers):
            await asyncio.sleep(0.02)

    def those(self, ids: Collection[UUID]) -> list[Worker]:
        """The workers of these ids."""
        return [worker for worker in self.workers if worker.id in ids]

    def heal(self) -> None:
        """Frozen ones go on, and clocks go right."""
        for worker in self.workers:
            worker.signal(signal.SIGCONT)
            worker.clock_ahead.value = 0.0

    def end(self) -> None:
        """Kill all of them."""
        for worker in self.workers:
            worker.end()

    def _count(self, worker: Worker) -> None:
        if worker.exit_code == -signal.SIGKILL:
            self.kills += 1
        elif not (worker.is_stopping and worker.exit_code in (0, -signal.SIGTERM)):  # the latter while it starts
            self.strange_ends.append(worker.exit_code or 0)


@asynccontextmanager
async def set_stage(
    servers: Servers,
    *,
    workers: int = 3,
    wiring: type[Container] = Hurried,
    lease: timedelta = LEASE,
    direct: bool = False,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """A crew on these servers, behind the bad networks (or `direct`, where only numbers count)."""
    sandbox_port = httpx.URL(servers.sandbox.url).port or 0
    chosen: dict[str, Any] = {
        "data_dir": servers.folder,
        "sandbox_port": sandbox_port if direct else servers.ports[2],
        "db_pool_min": 1,
        "db_pool_max": 10,
        "secret_keys": (KEY,),
        "publish_lease": round(lease.total_seconds() * 1000),
        "shutdown_grace": 3_000,
        **settings,
    }
    async with AsyncExitStack() as stack:
        networks = [
            await stack.enter_async_context(network)
            for network in (
                FaultyNetwork(host=str(servers.postgres.socket), listen=servers.ports[0]),
                FaultyNetwork(host=str(servers.redis.socket), listen=servers.ports[1]),
                FaultyNetwork(host="127.0.0.1", port=sandbox_port, listen=servers.ports[2]),
            )
        ]
        behind = Endpoints(
            database_url=through(servers.postgres.url, networks[0]),
            redis_url=f"redis://127.0.0.1:{networks[1].port}/0",
        )
        endpoints = servers.endpoints if direct else behind
        order = Order(chosen, endpoints, servers.folder / "workers.log", servers.folder / "deaths", wiring)

        own = Settings(**{**chosen, "sandbox_port": sandbox_port})
        backends = await stack.enter_async_context(open_backends(own, servers.endpoints))
        container = wiring(own, servers.endpoints, (KEY,), backends)
        rig = Rig(container, servers.sandbox, new_id())  # type: ignore[arg-type] # the rig needs no more than the hand

        crew = Crew(order, workers)
        stack.callback(crew.end)
        watch = asyncio.create_task(crew.watch())
        stack.callback(watch.cancel)
        stage = Stage(servers, rig, *networks, crew)
        await stage.crew.begin()
        yield stage


async def _empty(transaction: Transaction) -> None:
    """In a transaction that is tried again: workers are at their duties, and hold locks in an order of their own."""
    await transaction.connection.execute(text("SET LOCAL lock_timeout = '5s'"))
    await transaction.connection.execute(text(EMPTY_ALL_TABLES))


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _await_answer(hand: SandboxHand) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            hand.http.get("/control/clock")
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the sandbox does not answer"
            time.sleep(0.02)
        else:
            return
