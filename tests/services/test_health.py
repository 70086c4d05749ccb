"""Health, with every dependency healthy, stopped, and frozen in turn."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import insert, text

from app.embedded import EmbeddedServers
from services.backends.database import Database
from services.backends.redis import RedisGate
from services.domain.breakers import BreakerPolicy
from services.domain.health import HealthCheck, HealthReport, HealthStatus
from services.domain.ids import new_id
from services.guards.circuit_breaker import CircuitBreakerService
from services.health import HealthService
from services.models import WORKERS
from services.queries.server import find_revision
from tests.faulty import OwnRedis

OK, DEGRADED, UNFIT = HealthStatus.OK, HealthStatus.DEGRADED, HealthStatus.UNFIT
ALL = {"process", "database", "redis", "migrations", "workers", "queue", "pool", "breakers"}


class Rig:
    """The service and all that it looks at."""

    def __init__(self, *, database: Database, gate: RedisGate, redis: OwnRedis, revision: str) -> None:
        self.database, self.gate, self.redis = database, gate, redis
        self.breakers = CircuitBreakerService(gate=gate, policy=BreakerPolicy(), names=["instagram-api"])
        self.health = HealthService(
            database=database,
            gate=gate,
            breakers=self.breakers,
            version="1.2.3",
            revision=revision,
            kept_for=timedelta(0),
            patience=timedelta(seconds=0.5),
        )

    async def look(self) -> dict[str, HealthCheck]:
        """All checks by name."""
        return by_name(await self.health.check())

    async def add_worker(self, *, silent_for: timedelta = timedelta(0)) -> None:
        """A worker that last beat some time ago."""
        async with self.database.connect() as c:
            beat = datetime.now(UTC) - silent_for
            await c.execute(insert(WORKERS).values(id=new_id(), host="here", last_beat_at=beat))


async def fail() -> None:
    """A call to a platform that does not answer."""
    raise ConnectionError


def by_name(report: HealthReport) -> dict[str, HealthCheck]:
    """A report's checks by name."""
    return {check.name: check for check in report.checks}


@pytest.fixture
async def rig(database_url: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Everything as it should be, except that no worker beats."""
    async with AsyncExitStack() as stack:
        redis = OwnRedis(tmp_path)
        redis.start()
        stack.callback(redis.kill)
        stack.callback(redis.thaw)
        database = Database(url=database_url, pool_min=1, pool_max=5)
        await database.open()
        stack.push_async_callback(database.close)
        gate = RedisGate(url=redis.url)
        await gate.open()
        stack.push_async_callback(gate.close)
        async with database.connect() as c:
            revision = await find_revision(c)
        yield Rig(database=database, gate=gate, redis=redis, revision=revision or "")
        async with database.connect() as c:
            await c.execute(text("TRUNCATE workers, users CASCADE"))


async def test_everything_well_is_ok(rig: Rig) -> None:
    """Each part is named, with its latency."""
    await rig.add_worker()
    report = await rig.health.check()
    assert (report.status, report.version) == (OK, "1.2.3")
    checks = by_name(report)
    assert checks.keys() == ALL
    assert {check.status for check in checks.values()} == {OK}
    assert checks["database"].latency_ms > 0
    assert (checks["workers"].detail or "").startswith("1 alive")


@pytest.mark.parametrize("silent_for", [None, timedelta(minutes=11), timedelta(hours=2)])
async def test_without_a_worker_is_degraded_and_never_ok(rig: Rig, silent_for: timedelta | None) -> None:
    """None at all, or one that died long ago; one that beats in its place makes good."""
    if silent_for is not None:
        await rig.add_worker(silent_for=silent_for)
    report = await rig.health.check()
    assert report.status is DEGRADED
    assert by_name(report)["workers"].status is DEGRADED
    await rig.add_worker(silent_for=timedelta(seconds=20))
    assert (await rig.health.check()).status is OK


@pytest.mark.parametrize("silent_for", [timedelta(seconds=31), timedelta(minutes=9)])
async def test_dead_worker_is_degraded_though_others_live(rig: Rig, silent_for: timedelta) -> None:
    """It went without a word: somebody should look, for some minutes."""
    await rig.add_worker(silent_for=silent_for)
    await rig.add_worker()
    report = await rig.health.check()
    assert report.status is DEGRADED
    assert (by_name(report)["workers"].detail or "").endswith(f"; 1 silent for {silent_for.total_seconds():.0f} s")


@pytest.mark.parametrize(("late", "status"), [(30, OK), (90, DEGRADED)])
async def test_late_posts_are_degraded(rig: Rig, late: int, status: HealthStatus) -> None:
    """A minute is too much."""
    await rig.add_worker()
    async with rig.database.connect() as c:
        await c.execute(
            text(A_DUE_TARGET),
            {"user": new_id(), "account": new_id(), "post": new_id(), "target": new_id(), "late": late},
        )
    checks = await rig.look()
    assert checks["queue"].status is status
    assert (checks["queue"].detail or "").startswith("1 due")


A_DUE_TARGET = """
WITH u AS (INSERT INTO users (id, name, role) VALUES (:user, 'Ada', 'PERSON')),
     a AS (INSERT INTO accounts (id, user_id, platform, external_id, handle, display_name, status)
           VALUES (:account, :user, 'FACEBOOK', 'x', '@x', 'X', 'CONNECTED')),
     p AS (INSERT INTO posts (id, user_id, caption, status, scheduled_at) VALUES (:post, :user, '', 'SCHEDULED', now()))
INSERT INTO post_targets (id, post_id, user_id, account_id, platform, position, calendar_at, status, next_attempt_at)
VALUES (:target, :post, :user, :account, 'FACEBOOK', 0, now(), 'SCHEDULED', now() - make_interval(secs => :late))
"""


async def test_other_migrations_are_degraded(rig: Rig) -> None:
    """It says which revision stands where."""
    rig.health._revision = "9999"
    check = (await rig.look())["migrations"]
    assert check.status is DEGRADED
    assert "9999" in (check.detail or "")


async def test_open_breaker_is_told_but_no_fault_of_ours(rig: Rig) -> None:
    """The platform is ill; this process is not."""
    await rig.add_worker()
    for _ in range(BreakerPolicy().threshold):
        with pytest.raises(ConnectionError):
            await rig.breakers.execute("instagram-api", fail)
    report = await rig.health.check()
    assert report.status is OK
    assert by_name(report)["breakers"].detail == "instagram-api OPEN"


async def test_breaker_that_is_held_open_is_degraded_until_somebody_lets_go(rig: Rig) -> None:
    """No probe closes it: posts wait for a person. Who that is, is told to operators only."""
    await rig.add_worker()
    await rig.breakers.force_open("instagram-api", by="root")
    report = await rig.health.check()
    check = by_name(report)["breakers"]
    assert (report.status, check.status, check.detail) == (DEGRADED, DEGRADED, "instagram-api OPEN by hand")
    await rig.breakers.force_close("instagram-api", by="root")
    assert (await rig.health.check()).status is OK


@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_redis_away_is_degraded_and_answers_in_time(rig: Rig, fault: str) -> None:
    """Stopped or frozen; and well again once it is back."""
    await rig.add_worker()
    getattr(rig.redis, fault)()
    began = time.monotonic()
    report = await rig.health.check()
    assert time.monotonic() - began < 2
    assert (report.status, by_name(report)["redis"].status) == (DEGRADED, DEGRADED)
    assert by_name(report)["database"].status is OK
    rig.redis.thaw() if fault == "freeze" else rig.redis.start()
    async with asyncio.timeout(5):
        while (await rig.health.check()).status is not OK:
            await asyncio.sleep(0.05)


async def test_stopping_process_is_unfit(rig: Rig) -> None:
    """Whatever else is well."""
    await rig.add_worker()
    rig.health.begin_stopping()
    report = await rig.health.check()
    assert report.status is UNFIT
    assert by_name(report)["process"].detail == "shutting down"


async def test_busy_pool_is_degraded_and_not_unfit(rig: Rig) -> None:
    """The database is there; taking this process out of service would move the load to others."""
    async with AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(rig.database.connect())
        rig.database._max_waiting = 0
        check = (await rig.look())["database"]
    assert check.status is DEGRADED


async def test_many_askers_cost_one_look(rig: Rig) -> None:
    """Who comes within a second gets what was found."""
    looks = 0
    original = rig.health._check_pool

    async def counted() -> Any:
        nonlocal looks
        looks += 1
        return await original()

    rig.health._checks["pool"] = (counted, DEGRADED)
    rig.health._kept_for = 60.0
    await asyncio.gather(*(rig.health.check() for _ in range(50)))
    await rig.health.check()
    assert looks == 1


async def test_check_that_hangs_is_reported_and_not_begun_again(rig: Rig) -> None:
    """However often somebody asks, one task waits; when it ends, its part is well again."""
    begun, released = 0, asyncio.Event()
    original = rig.health._check_pool

    async def stuck() -> Any:
        nonlocal begun
        begun += 1
        await released.wait()
        return await original()

    rig.health._checks["pool"] = (stuck, DEGRADED)
    for _ in range(3):
        checks = await rig.look()
        assert checks["pool"].status is DEGRADED
        assert "no answer within 0.5 s" in (checks["pool"].detail or "")
        assert checks["redis"].status is OK
    assert begun == 1
    released.set()
    await asyncio.sleep(0)
    assert (await rig.look())["pool"].status is OK


class OwnPostgres:
    """A PostgreSQL of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.servers = EmbeddedServers(data_dir=folder, redis=False, durable=False)
        self._postmaster: psutil.Process | None = None

    def start(self) -> str:
        """Start it; its URL."""
        others = set(psutil.Process().children())
        url = self.servers.start().database_url
        [self._postmaster] = set(psutil.Process().children()) - others
        return url

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of it."""
        assert self._postmaster is not None
        for process in [self._postmaster, *self._postmaster.children(recursive=True)]:
            process.send_signal(number)


@pytest.fixture
def own_postgres(data_dir: Path) -> Iterator[OwnPostgres]:
    """A PostgreSQL of the test's own, not yet started."""
    own = OwnPostgres(data_dir)
    yield own
    own.signal(signal.SIGCONT)
    own.servers.stop()


@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_postgres_away_is_unfit_in_time_and_ok_after(own_postgres: OwnPostgres, rig: Rig, fault: str) -> None:
    """Killed, or every process of it frozen: each answer comes within the patience, and none of them piles up."""
    database = Database(url=own_postgres.start(), pool_min=2, pool_max=5)
    await database.open()
    rig.health._database = database
    assert (await rig.look())["database"].status is OK

    own_postgres.servers.stop() if fault == "kill" else own_postgres.signal(signal.SIGSTOP)
    for _ in range(4):
        began = time.monotonic()
        report = await rig.health.check()
        assert time.monotonic() - began < 1.5
        assert report.status is UNFIT
        checks = by_name(report)
        assert (checks["database"].status, checks["redis"].status) == (UNFIT, OK)
        assert checks["workers"].status is DEGRADED

    own_postgres.start() if fault == "kill" else own_postgres.signal(signal.SIGCONT)
    async with asyncio.timeout(10):
        while (await rig.look())["database"].status is not OK:
            await asyncio.sleep(0.1)
    await database.close()
