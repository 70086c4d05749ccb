"""The worker: awake when something is due, many side by side, and gone without losing anything."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from app.worker import Duty, Worker
from services.backends.events import Gap
from services.backends.notices import Notices
from services.domain.accounts import Account
from services.domain.ids import new_id
from services.domain.posts import PostState, TargetStatus
from services.domain.viewers import Viewer
from services.models import TARGETS, WORKERS
from services.publishing.claiming import NOBODY, Claimer
from services.publishing.rescue import rescue_targets
from services.queries.claims import Claim
from services.queries.drafting import DUE_SOON, wake_workers
from tests.rig import Rig, now

LEASE = timedelta(minutes=1)


def a_worker(
    rig: Rig,
    *,
    grace: timedelta = timedelta(seconds=10),
    concurrency: int = 20,
    lease_for: timedelta = LEASE,
    claimer: Claimer | None = None,
    duties: list[Duty] | None = None,
) -> Worker:
    """A worker on the rig's parts; without duties unless told."""
    return Worker(
        database=rig.container.backends.database,
        clock=rig.container.clock,
        claimer=claimer or rig.claimer(lease_for=lease_for),
        publisher=rig.publisher(lease_for=lease_for),
        preparer=rig.preparer(lease_for=lease_for),
        notices=Notices(url=rig.container.endpoints.database_url, channel=DUE_SOON),
        duties=duties or [],
        concurrency=concurrency,
        lease_for=lease_for,
        grace=grace,
    )


@asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[asyncio.Event]:
    """The workers at work; set the event to stop them, which the end of the block does too."""
    stop = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.run(stop))
        try:
            yield stop
        finally:
            stop.set()


async def until_all(rig: Rig, status: TargetStatus) -> None:
    """Wait until every target stands there."""
    async with asyncio.timeout(30):
        while {row.status for row in await rig.rows(select(TARGETS.c.status))} != {status}:
            await asyncio.sleep(0.05)


async def several(rig: Rig, count: int) -> list[tuple[Viewer, Account, PostState]]:
    """Due posts of as many people."""
    made = []
    for _ in range(count):
        viewer = await rig.add_user()
        account = await rig.add_account(viewer)
        made.append((viewer, account, await rig.schedule_due(viewer, account)))
    return made


class Counting(Claimer):
    """A claimer that counts how often it is asked."""

    calls = 0

    async def claim_due(self, worker_id: UUID, *, limit: int, busy: Mapping[UUID, int] = NOBODY) -> list[Claim]:
        """As ever."""
        self.calls += 1
        return await super().claim_due(worker_id, limit=limit, busy=busy)


def counting(rig: Rig) -> Counting:
    """The rig's claimer, counted."""
    return Counting(
        transactions=rig.container.backends.transactions,
        quotas=rig.container.quotas,
        windows=rig.windows(),
        now=now,
        lease_for=LEASE,
        missed_after=timedelta(hours=6),
        room=20,
    )


async def test_a_post_leaves_soon_after_its_time(rig: Rig) -> None:
    """Scheduled for in two seconds while the worker sleeps: sent then, not before."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    async with running(a_worker(rig)):
        post = await rig.schedule(ada, account, scheduled_at=now() + timedelta(seconds=2))
        await until_all(rig, TargetStatus.PUBLISHED)

    [line, *_] = await rig.ledger(post)
    assert post.post.scheduled_at is not None
    assert timedelta(0) <= line.started_at - post.post.scheduled_at < timedelta(seconds=3)


async def test_all_that_is_logged_of_an_attempt_has_one_id(rig: Rig) -> None:
    """The publisher's lines and the breaker's alike; another target has another id."""
    posts = [post for _, _, post in await several(rig, 2)]
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        async with running(a_worker(rig)):
            await until_all(rig, TargetStatus.PUBLISHED)
    ids = {line["correlation_id"] for line in lines if line["event"] == "publish.ended"}
    assert ids == {f"{post.targets[0].id.hex}.1" for post in posts}


async def test_a_notice_wakes_a_sleeping_worker(rig: Rig) -> None:
    """What becomes due now is told by NOTIFY: the worker looks again before its sleep is over."""
    claimer = counting(rig)
    worker = a_worker(rig, claimer=claimer)
    async with running(worker):
        listening = text(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'crier-notices' AND datname = current_database()"
        )
        while not await rig.rows(listening):
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        before = claimer.calls
        for _ in range(15):
            async with rig.container.backends.database.begin() as c:
                await wake_workers(c)
            await asyncio.sleep(0.05)
        woken = claimer.calls - before

    assert woken >= 8, "without notices it looks once a second"


async def test_an_idle_worker_looks_about_once_a_second(rig: Rig) -> None:
    """No busy loop over an empty queue, nor over one whose next target is far away."""
    ada = await rig.add_user()
    await rig.schedule(ada, await rig.add_account(ada))
    claimer = counting(rig)
    async with running(a_worker(rig, claimer=claimer)):
        await asyncio.sleep(2.5)

    assert claimer.calls <= 6


async def test_workers_side_by_side_send_each_post_once(rig: Rig) -> None:
    """Four workers, forty due posts."""
    made = await several(rig, 40)

    async with running(*(a_worker(rig, concurrency=5) for _ in range(4))):
        await until_all(rig, TargetStatus.PUBLISHED)

    assert [len(rig.seen(account)) for _, account, _ in made] == [1] * 40


async def test_a_worker_holds_no_more_than_it_may(rig: Rig) -> None:
    """With room for three, a fourth post waits for another worker."""
    await several(rig, 6)
    rig.sandbox.arm("facebook.feed", when="before", action="delay", seconds=1.5, times=3)
    worker = a_worker(rig, concurrency=3)
    async with running(worker):
        while worker.publishing < 3:
            await asyncio.sleep(0.02)
        held = await rig.rows(select(TARGETS.c.id).where(TARGETS.c.lease_until.is_not(None)))
        assert len(held) == worker.publishing == 3
        await until_all(rig, TargetStatus.PUBLISHED)


async def test_a_stop_lets_what_runs_finish(rig: Rig) -> None:
    """Within the grace period: published, nothing more claimed, no worker listed."""
    [(_, account, post)] = await several(rig, 1)
    rig.sandbox.arm("facebook.feed", when="before", action="delay", seconds=0.7)
    async with running(a_worker(rig)) as stop:
        while not rig.requests("facebook.feed"):
            await asyncio.sleep(0.02)
        stop.set()
        await several(rig, 1)

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert len(rig.seen(account)) == 1
    assert len(await rig.rows(select(TARGETS).where(TARGETS.c.status == TargetStatus.SCHEDULED))) == 1
    assert await rig.rows(select(WORKERS)) == []


async def test_a_stop_hands_back_what_does_not_finish(rig: Rig) -> None:
    """After the grace period: due for others at once, uncharged, and sent once by the next worker."""
    made = await several(rig, 5)
    rig.sandbox.arm("facebook.feed", when="before", action="delay", seconds=4, times=5)
    async with running(a_worker(rig, grace=timedelta(milliseconds=200))) as stop:
        while len(rig.requests("facebook.feed")) < 5:
            await asyncio.sleep(0.02)
        stop.set()

    for _, _, post in made:
        target = await rig.target(post)
        assert (target.status, target.attempt_count) == (TargetStatus.SCHEDULED, 0)
    async with running(a_worker(rig)):
        await until_all(rig, TargetStatus.PUBLISHED)
    assert [len(rig.seen(account)) for _, account, _ in made] == [1] * 5


async def test_a_beat_keeps_leases_of_what_is_worked_on_and_no_others(rig: Rig) -> None:
    """A slow publication outlives its lease by being renewed; a lease that nobody serves any more runs out."""
    [(_, slow, _), (_, _, forgotten)] = await several(rig, 2)
    rig.sandbox.arm("facebook.feed", when="before", action="delay", seconds=4)
    worker = a_worker(rig, lease_for=timedelta(seconds=1))
    transactions = rig.container.backends.transactions
    rescue = Duty("rescue", timedelta(milliseconds=100), lambda: rescue_targets(transactions))
    held = {"status": "PUBLISHING", "leased_by": worker.id, "next_attempt_at": None, "lease": 7}
    ends = {"lease_until": text("now() + interval '1 second'")}
    of_forgotten = update(TARGETS).where(TARGETS.c.post_id == forgotten.post.id)
    await rig.write(of_forgotten.values(**held, **ends))
    worker._duties.append(rescue)

    async with running(worker):
        while (await rig.target(forgotten)).status is not TargetStatus.PUBLISHED:
            await asyncio.sleep(0.05)
        assert rig.seen(slow) == [], "the forgotten one had to wait for the slow one"
        await until_all(rig, TargetStatus.PUBLISHED)

    assert len(rig.seen(slow)) == 1
    lines = await rig.rows(text("SELECT target_id FROM attempts WHERE outcome = 'INTERRUPTED'"))
    assert [line.target_id for line in lines] == [(await rig.target(forgotten)).id]


async def test_a_failing_duty_is_tried_again(rig: Rig) -> None:
    """Its trouble ends neither the duty nor the worker."""
    turns = 0

    async def fail() -> None:
        nonlocal turns
        turns += 1
        raise RuntimeError("trouble of a test")

    [(_, _, post)] = await several(rig, 1)
    async with running(a_worker(rig, duties=[Duty("trouble", timedelta(milliseconds=20), fail)])):
        await until_all(rig, TargetStatus.PUBLISHED)
        while turns < 3:
            await asyncio.sleep(0.02)
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_a_worker_outlives_its_database_connection(rig: Rig) -> None:
    """All connections are cut, the listening one too: it goes on as soon as there are new ones."""
    async with running(a_worker(rig)):
        await asyncio.sleep(0.3)
        await rig.rows(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        )
        ada = await rig.add_user()
        await rig.schedule_due(ada, await rig.add_account(ada))
        await until_all(rig, TargetStatus.PUBLISHED)


async def test_what_a_killed_process_left_untold_is_told_within_a_second(rig: Rig) -> None:
    """A committed row of the outbox whose process died before telling: the duties of a worker, as it is wired, do."""
    ada = await rig.add_user()
    took = []
    async with running(rig.container.worker()), rig.container.backends.events.subscribe(ada.user.id) as items:
        for number in range(5):
            await asyncio.sleep(0.13 * number)
            await rig.write(
                text(
                    "INSERT INTO outbox (id, user_id, kind, payload) VALUES (:id, :user, 'LEFT', :payload)"
                ).bindparams(bindparam("payload", {"number": number}, type_=JSONB), id=new_id(), user=ada.user.id)
            )
            began = time.monotonic()
            async with asyncio.timeout(20):
                heard = await anext(item async for item in items if not isinstance(item, Gap) and b"LEFT" in item)
            took.append(time.monotonic() - began)
            assert f'"number":{number}'.encode() in heard
        async with asyncio.timeout(20):
            while await rig.rows(text("SELECT id FROM outbox")):
                await asyncio.sleep(0.02)
    assert statistics.median(took) < 1, took
