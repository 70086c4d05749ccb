"""Workers that die, are stopped, or are only slow: whatever they leave, the post shows once."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from services.domain.accounts import Platform
from services.domain.errors import ErrorCode
from services.domain.posts import AttemptOutcome, TargetStatus
from services.models import TARGETS
from services.providers.pacing import Pacing
from services.publishing.rescue import rescue_targets
from tests.rig import Rig, refused
from tests.services.publishing.kinds import KINDS, Died, Mortal, a_due_post

MOST_CALLS = 12
PATIENT = Pacing(first=timedelta(milliseconds=300), longest=timedelta(milliseconds=500), limit=8)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", KINDS)
async def test_a_worker_dies_at_any_step_and_the_post_shows_once(rig: Rig, name: str, is_done: bool) -> None:
    """Killed before or after the platform did a step, for every step: rescued, asked where it must be, seen once."""
    deaths = 0
    for at in range(1, MOST_CALLS):
        viewer, account, post = await a_due_post(rig, name)
        mortal = {p: Mortal(client, at=at, is_done=is_done) for p, client in rig.providers().items()}
        try:
            await rig.publisher(providers=mortal).publish(await rig.claim())
        except Died:
            deaths += 1
        else:
            break
        assert await rig.rescue() == 1

        await rig.publish()

        target = await rig.target(post)
        seen = rig.seen(account)
        assert [one["count"] for one in seen] == [1], f"died at call {at}"
        assert (target.status, target.permalink) == (TargetStatus.PUBLISHED, seen[0]["permalink"])
        ledger = await rig.ledger(post)
        assert [line.outcome for line in ledger].count(AttemptOutcome.INTERRUPTED) == 1
        assert target.attempt_count == 1
        assert await rig.slots(viewer, account.platform) == 1
    assert deaths >= 2


async def test_an_ending_is_written_though_the_database_is_busy(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is to be had when the platform has answered: what it said is not forgotten for that."""
    database = rig.container.backends.database
    monkeypatch.setattr(database, "_acquire_timeout", 0.05)
    _, account, post = await a_due_post(rig, "text")
    claim = await rig.claim()
    rig.sandbox.arm("facebook.update", when="before", action="delay", seconds=0.6)
    publishing = asyncio.create_task(rig.publisher().publish(claim))
    async with asyncio.timeout(20):
        while not rig.requests("facebook.update"):
            await asyncio.sleep(0.02)

    async with AsyncExitStack() as stack:
        for _ in range(database.usage().maximum):
            await stack.enter_async_context(database.connect())
        async with asyncio.timeout(20):
            while not rig.seen(account):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        assert not publishing.done()
    await publishing

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_who_lost_the_lease_writes_nothing(rig: Rig) -> None:
    """Rescued and claimed by another: the first one's result, ledger and quota change nothing."""
    _, account, post = await a_due_post(rig, "text")
    claim = await rig.claim()
    await rig.rescue()
    other = await rig.claim()
    before, ledger = await rig.row(post), await rig.ledger(post)

    await rig.publisher().publish(claim)

    assert other.lease > claim.lease

    assert await rig.row(post) == before
    assert await rig.ledger(post) == ledger
    assert rig.seen(account) == []


async def test_a_cancel_beats_a_worker_whose_lease_ran_out(rig: Rig) -> None:
    """Slow, rescued, canceled by the person: the slow one finds its lease gone before the step that shows."""
    ada, account, post = await a_due_post(rig, "text")
    rig.sandbox.arm("facebook.feed", when="after", action="delay", seconds=0.5)
    publishing = asyncio.create_task(rig.publisher().publish(await rig.claim()))
    while not rig.requests("facebook.feed"):
        await asyncio.sleep(0.02)
    await rig.rescue()

    await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)
    await publishing

    assert (await rig.target(post)).status is TargetStatus.CANCELED
    assert rig.seen(account) == []


@pytest.mark.parametrize("name", ["text", "image"])
async def test_a_lease_that_ends_under_a_slow_worker_doubles_nothing(rig: Rig, name: str) -> None:
    """The step that shows is slow, its lease runs out: the next worker asks until it sees what the slow one did."""
    route = "facebook.update" if name == "text" else "instagram.media_publish"
    _, account, post = await a_due_post(rig, name)
    rig.sandbox.arm(route, when="before", action="delay", seconds=1)
    slow = asyncio.create_task(rig.publisher().publish(await rig.claim()))
    while not rig.requests(route):
        await asyncio.sleep(0.02)
    assert await rig.rescue() == 1

    patient = rig.publisher(pacing=PATIENT)
    await asyncio.gather(slow, rig.publisher(pacing=PATIENT).publish(await rig.claim()))
    await rig.publish(patient)

    assert [one["count"] for one in rig.seen(account)] == [1]
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_who_stood_still_before_the_step_does_not_do_it(rig: Rig) -> None:
    """Between saving the step and doing it a whole lease has passed: others may be asking, so nothing is sent."""
    _, account, post = await a_due_post(rig, "text")

    await rig.publisher(lease_for=timedelta(milliseconds=1)).publish(await rig.claim())

    assert rig.seen(account) == []
    assert rig.requests("facebook.update") == []
    await rig.rescue()
    await rig.publish()
    assert [one["count"] for one in rig.seen(account)] == [1]
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_a_lease_runs_out_and_is_freed_by_the_database_clock(rig: Rig) -> None:
    """Only what ran out is freed; a claim that still holds is left alone."""
    await a_due_post(rig, "text")
    await rig.claim()
    assert await rescue_targets(rig.container.backends.transactions) == 0

    await rig.write(update(TARGETS).values(lease_until=text("now() - interval '1 millisecond'")))

    assert await rescue_targets(rig.container.backends.transactions) == 1
    assert await rescue_targets(rig.container.backends.transactions) == 0


async def test_a_stopped_worker_hands_back_without_charging(rig: Rig) -> None:
    """Canceled before anything shows: due at once, no attempt, the slot free, what was prepared is kept."""
    ada, account, post = await a_due_post(rig, "photos")
    rig.sandbox.arm("facebook.feed", when="before", action="delay", seconds=5)
    publishing = asyncio.create_task(rig.publisher().publish(await rig.claim()))
    while not rig.requests("facebook.feed"):
        await asyncio.sleep(0.02)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing

    target = await rig.target(post)
    assert (target.status, target.attempt_count) == (TargetStatus.SCHEDULED, 0)
    assert await rig.slots(ada, Platform.FACEBOOK) == 0
    assert (await rig.ledger(post))[-1].outcome is AttemptOutcome.INTERRUPTED
    await rig.publish()
    assert len(rig.seen(account)) == 1
    assert len(rig.requests("facebook.photos")) == 2


async def test_a_stop_in_the_step_that_shows_leaves_the_question(rig: Rig) -> None:
    """Canceled while the post is being shown: nobody says it is not out; the next worker asks."""
    ada, account, post = await a_due_post(rig, "text")
    rig.sandbox.arm("facebook.update", when="after", action="delay", seconds=5)
    publishing = asyncio.create_task(rig.publisher().publish(await rig.claim()))
    while not rig.seen(account):
        await asyncio.sleep(0.02)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)

    with refused(ErrorCode.ALREADY_PUBLISHING, "id"):
        await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)
    await rig.publish()

    assert [one["count"] for one in rig.seen(account)] == [1]
    assert (await rig.target(post)).attempt_count == 1


async def test_a_stop_while_the_result_is_written_does_not_lose_it(rig: Rig) -> None:
    """The platform has answered: a cancellation waits until that is stored."""
    _, _, post = await a_due_post(rig, "text")
    claim = await rig.claim()
    async with rig.container.backends.database.begin() as c:
        await c.execute(text("SELECT id FROM posts FOR UPDATE"))
        publishing = asyncio.create_task(rig.publisher().publish(claim))
        waits = text("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        while not await rig.rows(waits):
            await asyncio.sleep(0.02)
        publishing.cancel()
        await asyncio.sleep(0.05)
    await asyncio.gather(publishing, return_exceptions=True)

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
