"""Nobody knows whether it went out: the platform is asked, and the person only where it cannot tell."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.domain.accounts import Platform
from services.domain.errors import ErrorCode
from services.domain.posts import AttemptOutcome, TargetStatus
from services.models import TARGETS
from services.providers.pacing import Pacing
from tests.rig import Rig, refused
from tests.services.publishing.kinds import a_due_post

SHOWING: dict[str, tuple[str, dict[str, str]]] = {
    "image": ("instagram.media_publish", {}),
    "carousel": ("instagram.media_publish", {}),
    "text": ("facebook.update", {}),
    "video": ("facebook.update", {}),
    "facebook reel": ("facebook.video_reels", {"upload_phase": "finish"}),
    "youtube": ("youtube.upload", {}),
}
TROUBLE: dict[str, dict[str, Any]] = {
    "dropped before": {"when": "before", "action": "drop"},
    "dropped after": {"when": "after", "action": "drop"},
    "500 after": {"when": "after", "status": 500},
    "502 from a proxy after": {"when": "after", "preset": "bad_gateway"},
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("name", SHOWING)
async def test_an_ambiguous_end_is_asked_back_and_shows_once(rig: Rig, name: str, trouble: str) -> None:
    """Whatever the platform did before it fell silent: seen once, with its true permalink, without a person's word."""
    route, match = SHOWING[name]
    _, account, post = await a_due_post(rig, name)
    rig.sandbox.arm(route, match=match, **TROUBLE[trouble])

    await rig.publish()

    [seen] = rig.seen(account)
    target = await rig.target(post)
    assert (target.status, target.permalink) == (TargetStatus.PUBLISHED, seen["permalink"])
    assert target.attempt_count == 1
    outcomes = [line.outcome for line in await rig.ledger(post)]
    assert AttemptOutcome.UNKNOWN in outcomes
    assert outcomes[-1] is AttemptOutcome.SUCCEEDED


@pytest.mark.parametrize("name", SHOWING)
async def test_a_limit_that_is_told_after_the_fact_doubles_nothing(rig: Rig, name: str) -> None:
    """429 for what the platform has done is asked back: believed, it would let its person cancel what is out."""
    route, match = SHOWING[name]
    ada, account, post = await a_due_post(rig, name)
    rig.sandbox.arm(route, match=match, when="after", status=429, headers={"Retry-After": "30"})

    await rig.publish()

    [seen] = rig.seen(account)
    target = await rig.target(post)
    assert (target.status, target.permalink, seen["count"]) == (TargetStatus.PUBLISHED, seen["permalink"], 1)
    assert await rig.slots(ada, account.platform) == 1


async def test_an_action_block_after_the_fact_is_no_failure(rig: Rig) -> None:
    """Instagram says 4/2207051 of what it has published: it is asked, and believed over its error."""
    _, account, post = await a_due_post(rig, "image")
    rig.sandbox.arm("instagram.media_publish", when="after", preset="action_blocked")

    await rig.publish()

    assert len(rig.seen(account)) == 1
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_an_action_block_that_is_one_is_waited_for(rig: Rig) -> None:
    """Asked back, it is not out: SCHEDULED with the platform's reason, cancelable, and out later, once."""
    ada, account, post = await a_due_post(rig, "image")
    rig.sandbox.arm("instagram.media_publish", when="before", preset="action_blocked")

    await rig.publish()

    target = await rig.target(post)
    assert (target.status, rig.seen(account)) == (TargetStatus.SCHEDULED, [])
    assert target.waiting_for is not None and target.waiting_for.code is ErrorCode.RATE_LIMITED
    assert not (await rig.row(post)).step_shows

    await rig.hurry()
    await rig.publish()
    assert [one["count"] for one in rig.seen(account)] == [1]
    assert ada is not None


async def test_a_container_that_ended_in_an_error_is_certainly_not_out(rig: Rig) -> None:
    """After a lost publish the container says ERROR: not a doubt for the person, but another try from the start."""
    _, account, post = await a_due_post(rig, "image")
    rig.sandbox.arm("instagram.media_publish", when="before", action="drop")
    rig.sandbox.arm("instagram.read", when="after", body={"status_code": "FINISHED", "id": "1"}, status=200)
    failed = {"status_code": "ERROR", "status": "Error: 2207032 creation failed", "id": "1"}
    rig.sandbox.arm("instagram.read", when="after", body=failed, status=200)

    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.RETRYING
    await rig.hurry()
    await rig.publish()

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert [one["count"] for one in rig.seen(account)] == [1]


async def test_patient_asking_is_no_illness_of_the_platform(rig: Rig) -> None:
    """Reads that lag behind are answers: the breaker stays closed over many of them."""
    _, account, _ = await a_due_post(rig, "image")
    rig.sandbox.arm("instagram.media_publish", when="before", action="drop")

    await rig.publish()

    stats = await rig.container.breakers.get_stats("instagram-api")
    assert (stats.state, stats.last_transitions) == ("CLOSED", ())
    assert len(rig.seen(account)) == 1


async def an_unconfirmed_post(rig: Rig) -> tuple[Any, Any, Any]:
    """Out, but the platform cannot be asked any more, for longer than patience lasts."""
    ada, account, post = await a_due_post(rig, "text")
    rig.sandbox.arm("facebook.update", when="after", action="drop")
    rig.sandbox.arm("facebook.read", status=500, times=100)
    await rig.publish(rig.publisher(patience=timedelta(milliseconds=100)))
    rig.sandbox.http.delete("/control/faults")
    return ada, account, post


async def test_what_nobody_can_tell_is_put_before_the_person(rig: Rig) -> None:
    """UNCONFIRMED with a reason, never sent again by itself; its slot counts."""
    ada, account, post = await an_unconfirmed_post(rig)

    await rig.hurry()
    await rig.publish()

    target = await rig.target(post)
    assert (target.status, target.next_attempt_at) == (TargetStatus.UNCONFIRMED, None)
    assert target.last_error is not None and target.last_error.code is ErrorCode.OUTCOME_UNKNOWN
    assert "confirmPublished" in target.last_error.message and "retryPost" in target.last_error.message
    assert len(rig.seen(account)) == 1
    assert await rig.slots(ada, Platform.FACEBOOK) == 1


async def test_the_person_can_confirm_an_unconfirmed_post(rig: Rig) -> None:
    """PUBLISHED with the permalink they give; a second word on it is refused."""
    ada, _, post = await an_unconfirmed_post(rig)
    target = await rig.target(post)
    confirm = rig.container.posts.confirm_published

    with refused(ErrorCode.VALIDATION_FAILED, "permalink"):
        await confirm(ada, target.id, permalink="javascript:alert(1)")
    with refused(ErrorCode.NOT_FOUND, "targetId"):
        await confirm(await rig.add_user("Eve"), target.id, permalink=None)
    state = await confirm(ada, target.id, permalink="https://www.facebook.com/1")

    [confirmed] = state.targets
    assert (confirmed.status, confirmed.permalink) == (TargetStatus.PUBLISHED, "https://www.facebook.com/1")
    assert confirmed.last_error is None and confirmed.published_at is not None
    with refused(ErrorCode.NOT_POSSIBLE_NOW, "id"):
        await confirm(ada, target.id, permalink=None)


async def test_an_unconfirmed_post_is_sent_again_only_by_an_explicit_word(rig: Rig) -> None:
    """Without acceptDuplicate it is refused; with it the post goes out a second time."""
    ada, account, post = await an_unconfirmed_post(rig)
    retry = rig.container.posts.retry_post

    with refused(ErrorCode.OUTCOME_UNKNOWN, "acceptDuplicate"):
        await retry(ada, post.post.id, accept_duplicate=False)
    await rig.publish()
    assert len(rig.seen(account)) == 1

    await retry(ada, post.post.id, accept_duplicate=True)
    await rig.publish()
    assert [one["count"] for one in rig.seen(account)] == [2, 2]
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_an_account_that_is_let_go_in_doubt_leaves_the_word_to_the_person(rig: Rig) -> None:
    """Nothing to ask with: UNCONFIRMED, not BLOCKED for ever with a cancel that is always refused."""
    ada, account, post = await a_due_post(rig, "text")
    rig.sandbox.arm("facebook.update", when="after", action="drop")
    await rig.publisher().publish(await rig.claim())
    await rig.container.accounts.disconnect_account(ada, account.id)

    await rig.publish()

    assert (await rig.target(post)).status is TargetStatus.UNCONFIRMED
    assert await rig.slots(ada, Platform.FACEBOOK) == 1


@pytest.mark.parametrize("name", ["facebook reel", "youtube"])
async def test_what_people_see_already_cannot_be_canceled_while_it_is_looked_after(rig: Rig, name: str) -> None:
    """Out, and still processed by the platform: between two looks a cancel is ALREADY_PUBLISHING."""
    ada, account, post = await a_due_post(rig, name)
    slow = Pacing(first=timedelta(seconds=10), longest=timedelta(seconds=10), limit=20)

    await rig.publisher(pacing=slow).publish(await rig.claim())

    assert len(rig.seen(account)) == 1
    with refused(ErrorCode.ALREADY_PUBLISHING, "id"):
        await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)
    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert len(rig.seen(account)) == 1


async def test_a_stop_while_the_platform_processes_what_is_out_leaves_the_doubt(rig: Rig) -> None:
    """A worker stopped between two looks at a reel that is out: it stays PUBLISHING, and its slot stays taken."""
    ada, account, post = await a_due_post(rig, "facebook reel")
    rig.sandbox.turn(polls={"facebook_reel": 50})
    looking = Pacing(first=timedelta(seconds=2), longest=timedelta(seconds=2), limit=20)
    publishing = asyncio.create_task(rig.publisher(pacing=looking).publish(await rig.claim()))
    while not rig.seen(account):
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)

    row = await rig.row(post)
    assert (row.status, row.step_shows, row.lease_until) == (TargetStatus.PUBLISHING, True, None)
    assert await rig.slots(ada, Platform.FACEBOOK) == 1


async def test_a_breaker_that_opens_over_what_is_out_leaves_the_doubt(rig: Rig) -> None:
    """Between two looks at a reel that is out calls are turned away: still PUBLISHING, and no cancel says yes."""
    ada, account, post = await a_due_post(rig, "facebook reel")
    rig.sandbox.turn(polls={"facebook_reel": 50})
    looking = Pacing(first=timedelta(seconds=1), longest=timedelta(seconds=1), limit=20)
    publishing = asyncio.create_task(rig.publisher(pacing=looking).publish(await rig.claim()))
    while not rig.seen(account):
        await asyncio.sleep(0.02)
    await rig.container.breakers.force_open("facebook-api", by="a test")
    await publishing

    target = await rig.target(post)
    assert target.status is TargetStatus.PUBLISHING
    assert target.waiting_for is not None and target.waiting_for.code is ErrorCode.CIRCUIT_OPEN
    assert await rig.slots(ada, Platform.FACEBOOK) == 1
    with refused(ErrorCode.ALREADY_PUBLISHING, "id"):
        await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)


async def test_a_person_can_cancel_what_only_waits_for_the_platform(rig: Rig) -> None:
    """A container that Instagram still processes shows nothing: canceled, its slot free, and nothing ever seen."""
    ada, account, post = await a_due_post(rig, "reel")
    slow = Pacing(first=timedelta(seconds=10), longest=timedelta(seconds=10), limit=20)
    await rig.publisher(pacing=slow).publish(await rig.claim())
    assert (await rig.target(post)).status is TargetStatus.PUBLISHING
    assert await rig.slots(ada, Platform.INSTAGRAM) == 1

    state = await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)

    assert state.targets[0].status is TargetStatus.CANCELED
    await rig.hurry()
    await rig.publish()
    assert rig.seen(account) == []
    assert await rig.slots(ada, Platform.INSTAGRAM) == 0


async def test_a_call_that_takes_longer_than_patience_is_asked_about(rig: Rig) -> None:
    """The doubt begins when the answer fails to come, not when the step began: the platform is asked at least once."""
    _, account, post = await a_due_post(rig, "text")
    rig.sandbox.arm("facebook.update", when="after", action="drop")

    await rig.publish(rig.publisher(patience=timedelta(milliseconds=1)))

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert len(rig.seen(account)) == 1


async def test_patience_begins_when_somebody_asks(rig: Rig) -> None:
    """A worker died long ago in the step that shows: the next one has all its patience, and the platform's answer."""
    _, account, post = await a_due_post(rig, "image")
    rig.sandbox.arm("instagram.media_publish", when="before", action="drop")
    claim = await rig.claim()
    await rig.publisher().publish(claim)
    dead = {"lease_until": claim.first_claimed_at, "step_began_at": claim.first_claimed_at - timedelta(minutes=3)}
    await rig.write(update(TARGETS).values(**dead))
    await rig.rescue()

    await rig.publish(rig.publisher(patience=timedelta(seconds=100)))

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert len(rig.seen(account)) == 1
