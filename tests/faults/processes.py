"""The processes that the programme starts, kills, freezes and stops: workers, and the sandbox.

They are forked from a parent that has everything imported already, so that a worker which was killed is replaced
within a few hundredths of a second. Each is a process like any other: it has its own pools, its own clock, and dies of
kill -9.
"""

import asyncio
import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import UUID

from app.backends import open_backends
from app.container import Container
from app.embedded import Endpoints
from app.foundations import utc_now
from app.log import configure_logging
from app.processes import run_loop
from app.sandbox import create_sandbox
from app.serving import bind, serving
from app.settings import Settings
from app.shutdown import stop_on_signals
from services.domain.publishing import Delivery, Finding, StepOutcome
from services.providers.base import Provider
from tests.faults.wiring import Hurried
from tests.rig import KEY

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.faults.processes", "tests.faults.plants"])

FIND_OUT = "find_out"


@dataclass(frozen=True)
class Order:
    """What a worker process is told at its start."""

    settings: dict[str, Any]
    endpoints: Endpoints
    log: Path
    deaths: Path
    """The folder with the deaths that wait for a worker, see `Mortal`."""
    wiring: type[Container] = Hurried


class Worker:
    """A worker process as the programme holds it."""

    def __init__(self, order: Order) -> None:
        self.clock_ahead = FORKS.Value("d", 0.0)
        """Seconds by which the wall clock of this process goes ahead of the real one."""
        self._told_id = FORKS.Array("c", 32)
        self._process: BaseProcess = FORKS.Process(target=_work, args=(order, self.clock_ahead, self._told_id))
        self._process.start()
        self.is_stopping = False

    @property
    def id(self) -> UUID | None:
        """As which it claims; None until it has begun."""
        return UUID(hex=self._told_id.value.decode()) if self._told_id.value else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -9 where it was killed."""
        return self._process.exitcode

    def signal(self, which: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, which)

    def stop(self) -> None:
        """Ask it to end in good order."""
        self.is_stopping = True
        self.signal(signal.SIGTERM)

    def end(self) -> None:
        """Kill it, and wait for that."""
        self._process.kill()
        self._process.join()


class SandboxProcess:
    """The three platforms in a process of their own: they go on working whoever of their clients has vanished."""

    def __init__(self, *, port: int, public_url: str, log: Path) -> None:
        """Listens at `port`; `public_url` is where the workers find it, perhaps behind a bad network."""
        self._process = FORKS.Process(target=_serve_sandbox, args=(port, public_url, log))
        self._process.start()

    def end(self) -> None:
        """Kill it, and wait for that."""
        self._process.kill()
        self._process.join()


class Mortal:
    """A real client in a worker whose death may be waiting at one of its steps.

    A death is a file `{step}.{moment}` with a post's caption in it. Of all workers that come there the one that gets to
    remove the file kills itself: `before` the step, with its checkpoint saved and nothing sent; `during` it, some
    milliseconds after it was begun; `after` it, with the platform's answer in hand and nothing written down.
    """

    def __init__(self, provider: Provider, deaths: Path) -> None:
        self.platform = provider.platform
        self.next_step = provider.next_step
        self.discard = provider.discard
        self._provider = provider
        self._deaths = deaths

    async def perform(self, delivery: Delivery) -> StepOutcome:
        """Do the next step, or die of it."""
        return await self._live_through(self.next_step(delivery).name, delivery, self._provider.perform)

    async def find_out(self, delivery: Delivery) -> Finding:
        """Ask, or die of it."""
        return await self._live_through(FIND_OUT, delivery, self._provider.find_out)

    async def _live_through(self, step: str, delivery: Delivery, act: Callable[[Delivery], Any]) -> Any:
        self._meet(step, "before", delivery)
        if self._waits(step, "during", delivery):
            moment = random.uniform(0, 0.02)  # noqa: S311 - chance of when, not of what
            await asyncio.wait({asyncio.create_task(act(delivery))}, timeout=moment)
            self._meet(step, "during", delivery)
        outcome = await act(delivery)
        self._meet(step, "after", delivery)
        return outcome

    def _waits(self, step: str, moment: str, delivery: Delivery) -> bool:
        try:
            return (self._deaths / f"{step}.{moment}").read_text() == delivery.caption
        except FileNotFoundError:
            return False

    def _meet(self, step: str, moment: str, delivery: Delivery) -> None:
        if not self._waits(step, moment, delivery):
            return
        try:
            (self._deaths / f"{step}.{moment}").unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


def _work(order: Order, clock_ahead: Any, told_id: Any) -> None:
    _settle_in(order.log)
    configure_logging(log_format="json")
    settings = Settings(**order.settings)

    def now() -> datetime:
        return utc_now() + timedelta(seconds=clock_ahead.value)

    async def work() -> None:
        stop = stop_on_signals()
        async with open_backends(settings, order.endpoints) as backends:
            container = order.wiring(settings, order.endpoints, (KEY,), backends, now)
            clients = container.providers.items()
            container.__dict__["providers"] = {platform: Mortal(one, order.deaths) for platform, one in clients}
            worker = container.worker()
            told_id.value = worker.id.hex.encode()
            await worker.run(stop)

    run_loop(work())


def _serve_sandbox(port: int, public_url: str, log: Path) -> None:
    _settle_in(log)

    async def serve() -> None:
        stop = stop_on_signals()
        app = create_sandbox(public_url=public_url, journal=None, now=utc_now)
        async with serving(app, bind("127.0.0.1", port, setting="port"), grace=timedelta(seconds=1)):
            await stop.wait()

    run_loop(serve())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _settle_in(log: Path) -> None:
    """End with whoever started us, however that ends, and write into a file."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    random.seed()
