"""Workers as real processes: told to stop, killed, asked for their health."""

import asyncio
import signal
import subprocess
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.revisions import newest_revision
from services.domain.health import HealthStatus
from services.domain.posts import TargetStatus
from services.health import HealthService
from services.models import TARGETS, WORKERS
from tests.end_to_end.local_run import free_port
from tests.rig import Rig
from tests.worker_processes import answers, log_of, worker_processes


async def statuses(rig: Rig) -> set[str]:
    """Where the targets stand."""
    return {row.status for row in await rig.rows(select(TARGETS.c.status))}


async def until_asked(rig: Rig, route: str, count: int) -> None:
    """Wait for requests at the sandbox."""
    async with asyncio.timeout(40):
        while len(rig.requests(route)) < count:
            await asyncio.sleep(0.05)


async def ended(worker: subprocess.Popen[bytes]) -> int:
    """The exit code, once it has ended by itself."""
    return await asyncio.to_thread(worker.wait, 40)


async def test_sigterm_in_the_middle_loses_nothing_and_doubles_nothing(rig: Rig) -> None:
    """Half of ten posts are on their way: they finish or are handed back, the next worker sends the rest, each once."""
    accounts = []
    for number in range(10):  # people of their own: one of them gets but a share of a worker
        person = await rig.add_user()
        accounts.append(await rig.add_account(person))
        await rig.schedule_due(person, accounts[-1], caption=f"Number {number}")
    rig.sandbox.arm("facebook.update", when="before", action="delay", seconds=0.5, times=3)
    rig.sandbox.arm("facebook.feed", when="before", action="delay", seconds=20, times=3)

    with worker_processes(rig, 1, SHUTDOWN_GRACE="1500", WORKER_CONCURRENCY="5") as [first]:
        await until_asked(rig, "facebook.feed", 5)
        first.send_signal(signal.SIGTERM)
        assert await ended(first) == 0, log_of(rig)
    assert await statuses(rig) <= {TargetStatus.PUBLISHED, TargetStatus.SCHEDULED}
    assert await rig.rows(select(WORKERS)) == []

    with worker_processes(rig, 1):
        async with asyncio.timeout(40):
            while await statuses(rig) != {TargetStatus.PUBLISHED}:
                await asyncio.sleep(0.1)
    seen = [one["caption"] for account in accounts for one in rig.seen(account)]
    assert seen == [f"Number {number}" for number in range(10)]
    assert {row.attempt_count for row in await rig.rows(select(TARGETS.c.attempt_count))} == {1}


async def test_a_killed_worker_is_made_good_by_the_next(rig: Rig) -> None:
    """Kill -9 in the step that shows: when the lease has run out another worker asks, and sends nothing twice."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    await rig.schedule_due(ada, account)
    rig.sandbox.arm("facebook.update", when="after", action="delay", seconds=20)

    with worker_processes(rig, 1, PUBLISH_LEASE="2000") as [victim]:
        await until_asked(rig, "facebook.update", 1)
        while not rig.seen(account):
            await asyncio.sleep(0.05)
        victim.kill()
        await ended(victim)
    assert await statuses(rig) == {TargetStatus.PUBLISHING}

    with worker_processes(rig, 1, PUBLISH_LEASE="2000"):
        async with asyncio.timeout(40):
            while await statuses(rig) != {TargetStatus.PUBLISHED}:
                await asyncio.sleep(0.1)
    assert [one["count"] for one in rig.seen(account)] == [1]


async def test_a_worker_tells_its_health(rig: Rig) -> None:
    """On WORKER_PORT: what it does itself while it works; that it is on its way out while it drains."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    with worker_processes(rig, 1, WORKER_PORT=str(port := free_port())) as [worker]:
        url = f"http://127.0.0.1:{port}/api/v1/health"
        assert (await asyncio.to_thread(answers, url)).json()["status"] == "ok"
        checks = (await asyncio.to_thread(answers, f"{url}/detailed")).json()["checks"]
        [own] = [check for check in checks if check["name"] == "worker"]
        assert own["status"] == "ok"
        assert own["detail"].startswith("0 in hand, looked for work")

        rig.sandbox.arm("facebook.feed", when="before", action="delay", seconds=1.5)
        await rig.schedule_due(ada, account)
        await until_asked(rig, "facebook.feed", 1)
        worker.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        for road in (url, f"{url}/detailed"):
            answer = await asyncio.to_thread(answers, road)
            assert (answer.status_code, answer.json()["status"]) == (503, "unfit")
        assert await ended(worker) == 0, log_of(rig)
    assert [one["count"] for one in rig.seen(account)] == [1]


async def test_no_worker_is_missed_unnoticed(rig: Rig) -> None:
    """Two real workers: each of them frozen, killed or told to end; health says so, and is well again after."""
    backends = rig.container.backends
    health = HealthService(
        database=backends.database,
        gate=backends.gate,
        breakers=rig.container.breakers,
        version="1",
        revision=newest_revision(),
        longest_silence=timedelta(seconds=1),
        kept_for=timedelta(0),
    )

    async def until(status: HealthStatus) -> None:
        async with asyncio.timeout(30):
            while (await health.check()).status is not status:
                await asyncio.sleep(0.1)

    assert (await health.check()).status is HealthStatus.DEGRADED
    with worker_processes(rig, 2, PUBLISH_LEASE="1000") as [first, second]:
        async with asyncio.timeout(30):
            while len(await rig.rows(select(WORKERS))) < 2:
                await asyncio.sleep(0.1)
        for worker in (first, second):
            worker.send_signal(signal.SIGSTOP)
            await until(HealthStatus.DEGRADED)
            worker.send_signal(signal.SIGCONT)
            await until(HealthStatus.OK)
        first.send_signal(signal.SIGTERM)
        assert await ended(first) == 0, log_of(rig)
        await until(HealthStatus.OK)
        second.kill()
        await until(HealthStatus.DEGRADED)


async def test_a_worker_that_cannot_look_for_work_is_unfit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lives and beats, but every claim fails: whoever watches it should start it anew."""
    monkeypatch.setattr("app.worker.LONGEST_SILENCE", timedelta(seconds=3))
    worker = rig.container.worker()
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await asyncio.sleep(3.5)  # it has looked since it was made
    assert (await worker.check()).status is HealthStatus.OK

    async with rig.container.backends.database.begin() as c:
        await c.exec_driver_sql("ALTER TABLE post_targets RENAME TO post_targets_hidden")
    try:
        await asyncio.sleep(4.5)
        finding = await worker.check()
    finally:
        async with rig.container.backends.database.begin() as c:
            await c.exec_driver_sql("ALTER TABLE post_targets_hidden RENAME TO post_targets")
    assert finding.status is HealthStatus.UNFIT
    stop.set()
    await running
