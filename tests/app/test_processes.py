"""Workers as real processes: told to stop, killed, asked for their health."""

import asyncio
import signal
import socket
import subprocess

from sqlalchemy import select

from services.domain.posts import TargetStatus
from services.models import TARGETS, WORKERS
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
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    for number in range(10):
        await rig.schedule_due(ada, account, caption=f"Number {number}")
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
    assert sorted(one["caption"] for one in rig.seen(account)) == [f"Number {number}" for number in range(10)]
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
    """On WORKER_PORT, while it works; a second signal is not needed to end it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with worker_processes(rig, 1, WORKER_PORT=str(port)) as [worker]:
        answer = await asyncio.to_thread(answers, f"http://127.0.0.1:{port}/api/v1/health")
        assert answer.status_code == 200, answer.text
        worker.send_signal(signal.SIGINT)
        assert await ended(worker) == 0, log_of(rig)
