"""Containers and uploads before their time: only the showing step is left, and nothing shows or is held early."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.domain.accounts import AccountStatus, Platform
from services.domain.changes import PostChanges
from services.domain.errors import ErrorCode, Unavailable
from services.domain.posts import AttemptOutcome, TargetStatus
from services.domain.publishing import Delivery, StepOutcome
from services.models import TARGETS
from tests.rig import Rig, now
from tests.services.publishing.early import SLOW_KINDS, a_post_to_come, prepare
from tests.services.publishing.kinds import KINDS, Died, Mortal

SHOWING = {"publish_container", "publish_post", "publish_video", "publish_reel", "poll_reel"} | {
    "finish_upload",
    "check_processing",
    "read_permalink",
}


@pytest.mark.parametrize("name", SLOW_KINDS)
async def test_only_the_step_that_shows_is_left_for_the_time(rig: Rig, name: str) -> None:
    """Prepared: nothing seen, no slot taken, no change for anybody. At its time: seen once, by showing steps alone."""
    viewer, account, post = await a_post_to_come(rig, name)

    assert await prepare(rig)

    assert rig.seen(account) == []
    assert await rig.state(post) == post
    assert await rig.slots(viewer, account.platform) == 0
    row = await rig.row(post)
    assert row.checkpoint and (row.lease_until, row.step_shows) == (None, False)
    early = await rig.ledger(post)
    assert {line.step for line in early} == set(KINDS[name].steps.split()) - SHOWING
    assert {line.number for line in early} == {1}

    await rig.come(post)
    await rig.publish()

    target = await rig.target(post)
    assert (target.status, target.attempt_count) == (TargetStatus.PUBLISHED, 1)
    assert [one["count"] for one in rig.seen(account)] == [1]
    late = (await rig.ledger(post))[len(early) :]
    assert {line.step for line in late} <= SHOWING
    assert {line.number for line in late} == {1}
    assert await rig.slots(viewer, account.platform) == 1


async def test_what_takes_no_time_is_not_prepared(rig: Rig) -> None:
    """Text alone is made and shown in its own second; a draft has no time."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    await rig.schedule(ada, account, hours=1 / 30)
    draft = rig.draft(account, sample="sunrise.jpg", scheduled_at=None)
    await rig.container.posts.create_draft(ada, draft, idempotency_key=None)

    assert await prepare(rig) == 0


async def test_preparing_begins_the_stated_time_ahead(rig: Rig) -> None:
    """Five minutes, unless it is set otherwise; a post of the next hour waits."""
    ada = await rig.add_user()
    account = await rig.add_account(ada, Platform.INSTAGRAM)
    post = await rig.schedule(ada, account, sample="sunrise.jpg", hours=1)
    assert post.post.scheduled_at is not None

    assert await rig.claimer().claim_early(rig.worker_id, limit=50) == []
    assert (await rig.row(post)).prepare_at == post.post.scheduled_at - timedelta(minutes=5)

    time = now() + timedelta(hours=2)
    await rig.container.posts.reschedule_post(ada, post.post.id, time, expected_version=None)
    assert (await rig.row(post)).prepare_at == time - timedelta(minutes=5)


async def test_a_cancel_discards_what_was_prepared(rig: Rig) -> None:
    """The container is forgotten, nothing goes out, and a new time begins from nothing."""
    ada, account, post = await a_post_to_come(rig, "image")
    await prepare(rig)

    await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)
    row = await rig.row(post)
    assert (row.status, row.checkpoint, row.prepare_at) == (TargetStatus.CANCELED, {}, None)
    await rig.come(post)
    await rig.write(update(TARGETS).values(next_attempt_at=None))
    await rig.publish()

    assert rig.seen(account) == []
    assert await rig.slots(ada, Platform.INSTAGRAM) == 0


@pytest.mark.parametrize("change", ["cancel", "edit", "move", "delete"])
async def test_whoever_changes_a_post_wins_against_its_preparation(rig: Rig, change: str) -> None:
    """While the container is being made: the change is taken, and the worker's result is nobody's any more."""
    ada, account, post = await a_post_to_come(rig, "image")
    rig.sandbox.arm("instagram.media", when="after", action="delay", seconds=0.5)
    [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)
    preparing = asyncio.create_task(rig.preparer().prepare(claim))
    while not rig.requests("instagram.media"):
        await asyncio.sleep(0.02)
    posts, key = rig.container.posts, post.post.id

    match change:
        case "cancel":
            await posts.cancel_post(ada, key, expected_version=None)
        case "edit":
            await posts.update_post(ada, key, PostChanges(caption="Better"), expected_version=post.post.version)
        case "move":
            await posts.reschedule_post(ada, key, now() + timedelta(hours=3), expected_version=None)
        case "delete":
            await posts.delete_post(ada, key)
    await preparing

    if change == "delete":
        assert await rig.rows(TARGETS.select()) == []
        return
    row = await rig.row(post)
    assert (row.checkpoint, row.lease_until, row.step) == ({}, None, None)
    assert [(line.number, line.outcome) for line in await rig.ledger(post)] == [(1, AttemptOutcome.INTERRUPTED)]
    if change == "edit":
        await prepare(rig)
        await rig.come(post)
        await rig.publish()
        assert [one["caption"] for one in rig.seen(account)] == ["Better"]


async def test_an_edit_of_what_was_prepared_goes_out_as_edited(rig: Rig) -> None:
    """The old container is not shown: another is made, with the new words."""
    ada, account, post = await a_post_to_come(rig, "image")
    await prepare(rig)

    await rig.container.posts.update_post(ada, post.post.id, PostChanges(caption="Better"), expected_version=None)
    assert (await rig.row(post)).checkpoint == {}
    assert await prepare(rig)
    await rig.come(post)
    await rig.publish()

    assert [one["caption"] for one in rig.seen(account)] == ["Better"]
    assert len(rig.requests("instagram.media")) == 2


@pytest.mark.parametrize("name", ["carousel", "facebook reel"])
async def test_a_worker_that_dies_while_preparing_brings_nothing_forward(rig: Rig, name: str) -> None:
    """Killed at any step: the target keeps its time, is prepared by another, and is seen once."""
    deaths = 0
    for at in range(1, 6):
        _, account, post = await a_post_to_come(rig, name)
        mortal = {p: Mortal(client, at=at, is_done=True) for p, client in rig.providers().items()}
        [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)
        try:
            await rig.preparer(providers=mortal).prepare(claim)
        except Died:
            deaths += 1
        assert await rig.rescue() == (1 if deaths == at else 0)

        target = await rig.target(post)
        assert (target.status, target.next_attempt_at) == (TargetStatus.SCHEDULED, post.post.scheduled_at)
        await prepare(rig)
        assert rig.seen(account) == []
        await rig.come(post)
        await rig.publish()
        assert [one["count"] for one in rig.seen(account)] == [1], f"died at call {at}"
        if deaths < at:
            break
    assert deaths >= 2


TROUBLE: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "429": {"status": 429, "headers": {"Retry-After": "20"}},
    "drop": {"when": "after", "action": "drop"},
    "token": {"preset": "token_expired"},
    "url": {"status": 400, "body": {"error": {"message": "No.", "code": 9004, "error_subcode": 2207052}}},
}


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_trouble_ahead_of_time_changes_neither_time_nor_state(rig: Rig, trouble: str) -> None:
    """Left to the post's own time, with all its tries; what may pass is tried again before."""
    _, account, post = await a_post_to_come(rig, "image")
    rig.sandbox.arm("instagram.media", **TROUBLE[trouble])

    [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)
    await rig.preparer().prepare(claim)

    state = await rig.state(post)
    assert (state.post, state.targets) == (post.post, post.targets)
    row = await rig.row(post)
    assert (row.lease_until, row.failure_count, row.attempt_count) == (None, 0, 0)
    assert (row.prepare_at is not None) == (trouble in ("500", "429", "drop"))
    assert (await rig.ledger(post))[-1].outcome is AttemptOutcome.FAILED
    is_lost = trouble == "token"
    assert (await rig.account_row(account)).status == (AccountStatus.EXPIRED if is_lost else AccountStatus.CONNECTED)
    await rig.come(post)
    await rig.publish()
    expected = TargetStatus.BLOCKED if is_lost else TargetStatus.PUBLISHED
    assert (await rig.target(post)).status is expected


async def test_refused_content_is_told_while_it_can_be_mended(rig: Rig) -> None:
    """FAILED before its time with the platform's words; edited, it goes out."""
    ada, account, post = await a_post_to_come(rig, "image")
    body = {"error": {"message": "Not this caption.", "code": 36004, "error_subcode": 2207010}}
    rig.sandbox.arm("instagram.media", status=400, body=body)

    await prepare(rig)

    target = await rig.target(post)
    assert (target.status, target.attempt_count) == (TargetStatus.FAILED, 1)
    assert target.last_error is not None and target.last_error.code is ErrorCode.CONTENT_REJECTED
    assert "Not this caption." in target.last_error.message
    changes = PostChanges(caption="Better", scheduled_at=now() + timedelta(minutes=1))
    await rig.container.posts.update_post(ada, post.post.id, changes, expected_version=None)
    await prepare(rig)
    await rig.come(post)
    await rig.publish()
    assert [one["caption"] for one in rig.seen(account)] == ["Better"]


@pytest.mark.parametrize(
    ("error", "code"),
    [(RuntimeError("a mistake"), ErrorCode.INTERNAL), (Unavailable("The database is away."), ErrorCode.UNAVAILABLE)],
    ids=["mistake", "database"],
)
async def test_trouble_of_our_own_is_told_in_the_ledger_and_keeps_the_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception, code: ErrorCode
) -> None:
    """A line with a code and words; what may pass is tried again before its time, and at its time it goes out."""
    _, account, post = await a_post_to_come(rig, "photos")
    providers = rig.providers()

    async def perform(delivery: Delivery) -> StepOutcome:
        del delivery
        raise error

    monkeypatch.setattr(providers[Platform.FACEBOOK], "perform", perform)
    [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)
    await rig.preparer(providers=providers).prepare(claim)

    [line] = await rig.ledger(post)
    assert (line.step, line.outcome, line.code) == ("upload_photo", AttemptOutcome.FAILED, code)
    assert line.message
    assert ((await rig.row(post)).prepare_at is not None) == (code is ErrorCode.UNAVAILABLE)
    assert await rig.state(post) == post
    await rig.come(post)
    await rig.publish()
    assert [one["count"] for one in rig.seen(account)] == [1]


async def test_a_stop_while_preparing_leaves_the_rest_to_others(rig: Rig) -> None:
    """Canceled: free at once, due at its own time, what was made is kept."""
    _, account, post = await a_post_to_come(rig, "photos")
    rig.sandbox.arm("facebook.feed", when="before", action="delay", seconds=5)
    [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)
    preparing = asyncio.create_task(rig.preparer().prepare(claim))
    while not rig.requests("facebook.feed"):
        await asyncio.sleep(0.02)
    preparing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await preparing

    assert await rig.state(post) == post
    assert await prepare(rig) == 1
    await rig.come(post)
    await rig.publish()
    assert len(rig.requests("facebook.photos")) == 2
    assert len(rig.seen(account)) == 1


async def test_what_is_due_while_it_is_prepared_is_left_to_its_preparer(rig: Rig) -> None:
    """No second worker takes it, nor is kept awake by it; let go, it goes out."""
    _, account, post = await a_post_to_come(rig, "image")
    [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)
    await rig.come(post)

    assert await rig.claimer().claim_due(rig.worker_id, limit=1) == []
    await rig.preparer().prepare(claim)
    await rig.publish()

    assert [one["count"] for one in rig.seen(account)] == [1]
