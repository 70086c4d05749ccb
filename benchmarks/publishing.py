"""How late posts start, and what each costs: `python -m benchmarks.publishing`, on servers of its own.

Half of the posts are texts on Facebook, half are pictures on Instagram, due evenly over a minute; four workers send
them to a platform that answers at once. Then the knee: the highest rate at which 99 of 100 posts start within two
seconds of their time, and what is used up there. Beside it, in the same run on the same server: pgqueuer doing as many
jobs that do nothing, due as evenly, and then all of them at once.
"""

import argparse
import asyncio
import logging
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import structlog
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from app.backends import open_backends
from app.container import Container
from app.embedded import EmbeddedServers, Endpoints
from app.migrating import migrate_database
from app.settings import Settings
from services.backends.statements import tally_statements
from services.domain.accounts import ConnectedProfile, Platform, Tokens
from services.domain.ids import new_id
from services.domain.viewers import Role
from services.queries.users import insert_user

KEY = "a key of the benchmark that is long enough to be one"
PLENTY = 100_000_000
PEOPLE = 100
SAMPLE = 400
"""Posts that this process publishes itself, to count statements."""
LATE = "SELECT extract(epoch FROM first_claimed_at - calendar_at) AS late FROM post_targets WHERE calendar_at >= $1"
PLATFORMS = (Platform.FACEBOOK, Platform.INSTAGRAM)

IN_TIME = 2.0
"""Seconds: later than this 99 of 100 posts must not start."""
KNEE_SECONDS = 15
"""How long each rate is tried."""
STEPS = (0.95, 0.85, 0.75, 0.65, 0.5)
"""Rates that are tried below one that was too much, as parts of what came through there."""
HIGHER = 1.3
BUSY = 0.9
"""A machine, or a process of one thread, that is busy for more of the time than this has nothing left."""


@dataclass(frozen=True)
class Round:
    """What one rate came to."""

    rate: float
    """Posts due a second."""
    late: list[float]
    per_second: float
    """Posts out a second."""
    cpu: dict[str, float]
    """Milliseconds a post, by what used them."""
    busy: dict[str, float]
    """Of the time: the machine's cores together, and the busiest worker's one."""

    @property
    def p99(self) -> float:
        """Seconds."""
        return statistics.quantiles(self.late, n=100)[98]

    @property
    def is_in_time(self) -> bool:
        """Whether the machine carries it."""
        return self.p99 < IN_TIME


def main() -> None:
    """Start everything, measure, print."""
    asked = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="crier-bench-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        endpoints = stack.enter_context(EmbeddedServers(data_dir=Path(folder) / "data"))
        port = _free_port()
        stack.enter_context(_running("benchmarks.fast_platform", str(port)))
        settings = _settings(Path(folder), endpoints, port)
        uvloop.run(migrate_database(endpoints.database_url))
        uvloop.run(measure(settings, endpoints, asked))


async def measure(settings: dict[str, str], endpoints: Endpoints, asked: argparse.Namespace) -> None:
    """One round of each."""
    url = endpoints.database_url.replace("+asyncpg", "")
    accounts = await _connect_people(settings, endpoints)
    print(f"{await _statements(settings, endpoints, url, accounts):.1f} statements per post, BEGIN and COMMIT aside")

    with ExitStack() as stack:
        workers = [stack.enter_context(_running("app", "worker", **settings)) for _ in range(asked.workers)]
        await asyncio.sleep(5)
        whole = await _publish(url, accounts, asked.posts, asked.seconds, workers)
        _report(f"Crier, {len(workers)} workers", whole.late, whole.per_second)
        for name, spent in whole.cpu.items():
            print(f"    CPU {name:10} {spent:6.2f} ms per post")
        await _find_knee(url, accounts, whole, workers)
    await _do_nothing(url, "pgqueuer, empty jobs", asked.posts, asked.seconds)
    await _do_nothing(url, "pgqueuer, empty jobs, all at once", asked.posts, 0)


async def _publish(
    url: str, accounts: list[tuple[Any, ...]], posts: int, seconds: float, workers: list[psutil.Popen]
) -> Round:
    start = datetime.now(UTC) + timedelta(seconds=3)
    connection = await asyncpg.connect(url)
    await _insert(connection, accounts, posts, start, timedelta(seconds=seconds))
    await asyncio.sleep(max(0.0, (start - datetime.now(UTC)).total_seconds()))
    before, each, cores = _cpu(workers), [_seconds(worker) for worker in workers], psutil.cpu_times()
    began = time.monotonic()
    while await connection.fetchval("SELECT count(*) FROM post_targets WHERE status <> 'PUBLISHED'"):
        await asyncio.sleep(0.5)
        assert time.monotonic() - began < 1_800, "no end of publishing"
    spent = time.monotonic() - began
    idle = (psutil.cpu_times().idle - cores.idle) / spent / (psutil.cpu_count() or 1)
    busiest = max(_seconds(worker) - earlier for worker, earlier in zip(workers, each, strict=True)) / spent
    used = _cpu(workers)
    late = [float(row["late"]) for row in await connection.fetch(LATE, start)]
    took = (await connection.fetchval("SELECT max(ended_at) FROM attempts") - start).total_seconds()
    await connection.close()
    return Round(
        rate=posts / seconds,
        late=late,
        per_second=posts / took,
        cpu={name: 1000 * (total - before[name]) / posts for name, total in used.items()},
        busy={"machine": 1 - idle, "worker": busiest},
    )


async def _find_knee(url: str, accounts: list[tuple[Any, ...]], whole: Round, workers: list[psutil.Popen]) -> None:
    """Up from what was carried, or down from what came through, until the other side is found."""

    async def attempt(rate: float) -> Round:
        tried = await _publish(url, accounts, round(rate * KNEE_SECONDS), KNEE_SECONDS, workers)
        print(f"    {tried.rate:5.0f} due per second: p99 {tried.p99:.2f} s late")
        return tried

    best = whole if whole.is_in_time else None
    limit = whole
    if best is not None:
        while (limit := await attempt(best.rate * HIGHER)).is_in_time:
            best = limit
    through = limit.per_second
    for part in STEPS:
        if best is not None and through * part <= best.rate:
            break
        tried = await attempt(through * part)
        if tried.is_in_time:
            best = tried
            break
    if best is None:
        print(f"no knee: not even {through * STEPS[-1]:.0f} posts a second start in time")
        return
    print(f"knee: {best.rate:.0f} posts a second start in time (p99 {best.p99:.2f} s); {_cause(limit)}")


def _cause(limit: Round) -> str:
    """What is used up where it is too much."""
    machine, worker = limit.busy["machine"], limit.busy["worker"]
    shares = ", ".join(f"{name} {spent:.1f} ms" for name, spent in limit.cpu.items())
    told = (
        f"beyond it the machine's {psutil.cpu_count()} cores are busy for {machine:.0%} of the time ({shares} a post)"
    )
    if machine >= BUSY:
        return f"{told}: CPU sets it"
    if worker >= BUSY:
        return f"{told}, and a worker's one thread for {worker:.0%}: more workers carry more"
    return f"{told}: waiting sets it, for the database or the platform"


async def _do_nothing(url: str, name: str, jobs: int, seconds: float) -> None:
    """Empty jobs, due evenly over some time, by one process of pgqueuer that may do them side by side."""
    connection = await asyncpg.connect(url)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install(create_schema=False)
    late: list[float] = []
    own = await asyncpg.connect(url)
    manager = PgQueuer(AsyncpgDriver(own))

    @manager.entrypoint("nothing")
    async def nothing(job: Any) -> None:
        late.append((datetime.now(UTC) - job.execute_after).total_seconds())

    begin = datetime.now(UTC) + timedelta(seconds=3)
    for first in range(0, jobs, 1000):
        size = min(1000, jobs - first)
        since = begin - datetime.now(UTC)
        delays = [since + timedelta(seconds=seconds) * (first + n) / jobs for n in range(size)]
        await queries.enqueue(["nothing"] * size, [None] * size, [0] * size, delays)
    running = asyncio.create_task(manager.run(batch_size=50))
    while len(late) < jobs:
        await asyncio.sleep(0.2)
    took = (datetime.now(UTC) - begin).total_seconds()
    manager.shutdown.set()
    await running
    await queries.uninstall()
    await connection.close()
    await own.close()
    _report(name, late, jobs / took)


async def _statements(
    settings: dict[str, str], endpoints: Endpoints, url: str, accounts: list[tuple[Any, ...]]
) -> float:
    """What this process runs to claim and publish some posts that are all due: per post."""
    connection = await asyncpg.connect(url)
    await _insert(connection, accounts, SAMPLE, datetime.now(UTC) - timedelta(seconds=1), timedelta(seconds=1))
    await connection.close()
    async with open_backends(_read(settings), endpoints) as backends:
        container = Container(_read(settings), endpoints, (KEY,), backends)
        worker_id = new_id()
        with tally_statements() as tally:
            while claims := await container.claimer.claim_due(worker_id, limit=20):
                await asyncio.gather(*(container.publisher.publish(claim) for claim in claims))
            await backends.transactions.close()
            await backends.outbox.close()
    return tally.statements / SAMPLE


async def _connect_people(settings: dict[str, str], endpoints: Endpoints) -> list[tuple[Any, ...]]:
    """People with one account on each platform: (user, account, platform)."""
    made = []
    async with open_backends(_read(settings), endpoints) as backends:
        container = Container(_read(settings), endpoints, (KEY,), backends)
        for number in range(PEOPLE):
            user = new_id()
            async with backends.database.begin() as c:
                await insert_user(c, user_id=user, name=f"Person {number}", role=Role.PERSON)
            for platform in PLATFORMS:
                profile = ConnectedProfile(f"{number}", f"p{number}", f"P {number}", None, Tokens("token"))
                [account] = await container.accounts.store_profiles(user, platform, [profile])
                made.append((user, account.id, platform))
    return made


async def _insert(
    connection: Any,
    accounts: list[tuple[Any, ...]],
    posts: int,
    start: datetime,
    over: timedelta,
) -> None:
    """Posts as if they had been scheduled long ago, one target each."""
    rows, targets, media = [], [], []
    for number in range(posts):
        user, account, platform = accounts[number % len(accounts)]
        post, due = new_id(), start + over * number / posts
        rows.append((post, user, f"Post {number}", "SCHEDULED", due, due, due))
        targets.append((new_id(), post, account, user, platform.value, 0, due, "SCHEDULED", due))
        if platform is Platform.INSTAGRAM:
            media.append((new_id(), post, 0, "IMAGE", "https://example.com/picture.jpg"))
    columns = ["id", "user_id", "caption", "status", "scheduled_at", "created_at", "updated_at"]
    await connection.copy_records_to_table("posts", records=rows, columns=columns)
    columns = ["id", "post_id", "account_id", "user_id", "platform", "position", "calendar_at", "status"]
    await connection.copy_records_to_table("post_targets", records=targets, columns=[*columns, "next_attempt_at"])
    await connection.copy_records_to_table("media", records=media, columns=["id", "post_id", "position", "kind", "url"])
    await connection.execute("ANALYZE posts, post_targets, media")


def _settings(folder: Path, endpoints: Endpoints, port: int) -> dict[str, str]:
    base = f"http://127.0.0.1:{port}"
    limits = {f"RATE_LIMIT_{p.value}": str(PLENTY) for p in Platform}
    apps = {
        f"{p.value}_{name}": value
        for p in PLATFORMS
        for name, value in (("CLIENT_ID", "us"), ("CLIENT_SECRET", "ours"), ("BASE_URL", base))
    }
    return {
        "DATABASE_URL": endpoints.database_url,
        "REDIS_URL": endpoints.redis_url,
        "DATA_DIR": str(folder),
        "SECRET_KEYS": KEY,
        "DB_POOL_MIN": "2",
        "DB_POOL_MAX": "12",
        "LOG_FORMAT": "json",
        "DAILY_LIMIT_INSTAGRAM": str(PLENTY),
        **limits,
        **apps,
    }


def _read(settings: dict[str, str]) -> Settings:
    return Settings(**{name.lower(): value for name, value in settings.items()})  # type: ignore[arg-type]


@contextmanager
def _running(module: str, *arguments: str, **environment: str) -> Iterator[psutil.Popen]:
    command = [sys.executable, "-m", module, *arguments]
    chosen = {"PATH": os.environ["PATH"], **environment}
    process = psutil.Popen(command, env=chosen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _cpu(workers: list[psutil.Popen]) -> dict[str, float]:
    """CPU seconds so far, by what used them."""
    ours = psutil.Process()
    spent = {"workers": sum(_seconds(worker) for worker in workers), "PostgreSQL": 0.0, "platform": 0.0}
    for child in ours.children(recursive=True):
        command = " ".join(child.cmdline())
        if "postgres" in command:
            spent["PostgreSQL"] += _seconds(child)
        elif "fast_platform" in command:
            spent["platform"] += _seconds(child)
    return spent


def _seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _report(name: str, late: list[float], per_second: float) -> None:
    cuts = statistics.quantiles(late, n=100)
    print(f"{name}: late by p50 {cuts[49]:.3f} s, p99 {cuts[98]:.3f} s; {per_second:.0f} per second")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=4)
    return parser.parse_args()


if __name__ == "__main__":
    main()
