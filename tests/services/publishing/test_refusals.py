"""What a platform's no does to a target: tried again, put before the person, or waiting for a new token."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.sandbox.running import RunningSandbox
from services.domain.accounts import AccountStatus, Platform
from services.domain.errors import ErrorCode
from services.domain.posts import AttemptOutcome, TargetStatus
from services.models import ACCOUNTS
from services.publishing.retry import RetryPolicy
from tests.rig import Rig, now
from tests.services.publishing.early import SLOW_KINDS, a_post_to_come, prepare
from tests.services.publishing.kinds import a_due_post

NO_WAIT = RetryPolicy(first=timedelta(0))


async def test_a_failing_platform_is_tried_again_later(rig: Rig) -> None:
    """RETRYING with a reason and a time; the next try, charged as another attempt, goes on and clears both."""
    _, account, post = await a_due_post(rig, "photos")
    rig.sandbox.arm("facebook.feed", status=500)

    await rig.publish()

    target = await rig.target(post)
    assert target.status is TargetStatus.RETRYING
    assert target.waiting_for is not None and target.waiting_for.code is ErrorCode.PLATFORM_ERROR
    assert target.waiting_for.until == target.next_attempt_at
    assert target.last_error is not None and target.last_error.retryable
    assert target.next_attempt_at is not None and target.next_attempt_at <= now() + timedelta(seconds=10)

    await rig.hurry()
    await rig.publish()

    target = await rig.target(post)
    assert (target.status, target.attempt_count, target.last_error) == (TargetStatus.PUBLISHED, 2, None)
    assert len(rig.seen(account)) == 1
    assert len(rig.requests("facebook.photos")) == 2, "what was prepared is not done again"
    assert [line.number for line in await rig.ledger(post)] == [1, 1, 1, 2, 2]


async def test_retry_after_is_obeyed(rig: Rig) -> None:
    """A failing platform that says how long it will be ill is left alone for at least that long."""
    _, _, post = await a_due_post(rig, "text")
    rig.sandbox.arm("facebook.feed", status=500, headers={"Retry-After": "300"})

    await rig.publish()

    waiting = (await rig.target(post)).next_attempt_at
    assert waiting is not None
    assert timedelta(seconds=280) < waiting - now() <= timedelta(seconds=300)


async def test_a_limit_of_the_platform_is_waited_for_and_costs_nothing(rig: Rig) -> None:
    """429: back to SCHEDULED with the reason and the platform's time, no attempt charged, the hour's slot free."""
    ada, _, post = await a_due_post(rig, "text")
    rig.sandbox.arm("facebook.feed", status=429, headers={"Retry-After": "120"})

    await rig.publish()

    target = await rig.target(post)
    assert (target.status, target.attempt_count, target.last_error) == (TargetStatus.SCHEDULED, 0, None)
    assert target.waiting_for is not None and target.waiting_for.code is ErrorCode.RATE_LIMITED
    assert target.waiting_for.until is not None and target.waiting_for.until - now() > timedelta(seconds=100)
    assert await rig.slots(ada, Platform.FACEBOOK) == 0
    assert [line.outcome for line in await rig.ledger(post)] == [AttemptOutcome.DEFERRED]


async def test_tries_come_to_an_end(rig: Rig) -> None:
    """After as many failures as the policy allows the person is told, with the platform's words."""
    ada, account, post = await a_due_post(rig, "text")
    rig.sandbox.arm("facebook.feed", status=500, times=3)
    publisher = rig.publisher(retry=RetryPolicy(first=timedelta(0), most=3))

    for _ in range(3):
        await rig.publish(publisher)
        await rig.hurry()

    target = await rig.target(post)
    assert (target.status, target.attempt_count) == (TargetStatus.FAILED, 3)
    assert target.last_error is not None and "unexpected error" in target.last_error.message
    assert rig.seen(account) == []
    assert await rig.slots(ada, Platform.FACEBOOK) == 0


async def test_a_post_given_another_time_has_all_its_tries_again(rig: Rig) -> None:
    """Who moved a post that failed expects it to be tried as often as a new one."""
    ada, _, post = await a_due_post(rig, "text")
    rig.sandbox.arm("facebook.feed", status=500, times=4)
    publisher = rig.publisher(retry=RetryPolicy(first=timedelta(0), most=3))
    for _ in range(3):
        await rig.publish(publisher)
        await rig.hurry()

    await rig.container.posts.publish_post_now(ada, post.post.id, expected_version=None)
    await rig.publish(publisher)

    assert (await rig.target(post)).status is not TargetStatus.FAILED


async def test_content_goes_to_the_person_at_once(rig: Rig) -> None:
    """FAILED by the first refusal, with the platform's words in the error and its code in the ledger."""
    _, _, post = await a_due_post(rig, "text")
    body = {"error": {"message": "(#100) The caption says too little.", "type": "OAuthException", "code": 100}}
    rig.sandbox.arm("facebook.feed", status=400, body=body)

    await rig.publish()

    target = await rig.target(post)
    assert target.status is TargetStatus.FAILED
    assert target.last_error is not None
    assert (target.last_error.code, target.last_error.retryable) == (ErrorCode.CONTENT_REJECTED, False)
    assert "The caption says too little." in target.last_error.message
    [line] = await rig.ledger(post)
    assert line.outcome is AttemptOutcome.FAILED
    assert line.message is not None and line.message.endswith("(100)")


@pytest.mark.parametrize("platform", [Platform.FACEBOOK, Platform.INSTAGRAM])
async def test_a_dead_token_blocks_until_the_account_is_connected_again(rig: Rig, platform: Platform) -> None:
    """EXPIRED and BLOCKED, uncharged; other due targets of the account wait too; all go on after a new connection."""
    ada = await rig.add_user()
    account = await rig.add_account(ada, platform)
    sample = None if platform is Platform.FACEBOOK else "sunrise.jpg"
    posts = [await rig.schedule(ada, account, caption=f"Number {i}", sample=sample) for i in range(3)]
    end_tokens(rig.sandbox, account.external_id, "revoke")
    for post in posts[:2]:
        await rig.come(post)

    await rig.publish()

    for post in posts[:2]:
        target = await rig.target(post)
        assert (target.status, target.attempt_count) == (TargetStatus.BLOCKED, 0)
        assert target.waiting_for is not None and target.waiting_for.code is ErrorCode.RECONNECT_REQUIRED
    assert (await rig.account_row(account)).status == AccountStatus.EXPIRED
    await rig.come(posts[2])
    await rig.publish()
    assert (await rig.target(posts[2])).status is TargetStatus.BLOCKED

    await rig.container.accounts.store_profiles(
        ada.user.id, platform, [await rig.profile(platform, external_id=account.external_id)]
    )
    await rig.publish()

    assert [(await rig.target(post)).status for post in posts] == [TargetStatus.PUBLISHED] * 3
    assert [one["count"] for one in rig.seen(account)] == [1, 1, 1]


@pytest.mark.parametrize("name", [name for name in SLOW_KINDS if name != "youtube"])
async def test_a_token_that_dies_after_the_preparation_blocks_until_the_next_one(rig: Rig, name: str) -> None:
    """The showing step is refused: certainly not out, so BLOCKED and no doubt; with a new token it goes out once.

    A session of YouTube's, once opened, asks for no token.
    """
    ada, account, post = await a_post_to_come(rig, name)
    await prepare(rig)
    end_tokens(rig.sandbox, account.external_id, "revoke")
    await rig.write(update(ACCOUNTS).values(refresh_token=None))
    await rig.come(post)

    await rig.publish()

    target = await rig.target(post)
    assert (target.status, target.attempt_count) == (TargetStatus.BLOCKED, 0)
    assert not (await rig.row(post)).step_shows
    assert (await rig.account_row(account)).status == AccountStatus.EXPIRED

    profile = await rig.profile(account.platform, external_id=account.external_id)
    await rig.container.accounts.store_profiles(ada.user.id, account.platform, [profile])
    await rig.publish()

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert [one["count"] for one in rig.seen(account)] == [1]


async def test_a_dead_token_is_told_to_who_watches_accounts(rig: Rig) -> None:
    """The account's event goes out with its cache tag: no cached list says CONNECTED for another hour."""
    ada, account, _ = await a_due_post(rig, "text")
    end_tokens(rig.sandbox, account.external_id, "revoke")

    async with rig.container.backends.events.subscribe(ada.user.id) as events:
        await rig.publish()
        async with asyncio.timeout(5):
            async for event in events:
                if b"ACCOUNTS_CHANGED" in event:  # type: ignore[operator] # no gap can come here
                    break


async def test_a_late_no_does_not_undo_a_new_connection(rig: Rig) -> None:
    """The old token is refused after the person connected again: the account stays CONNECTED, the post goes out."""
    ada, account, post = await a_due_post(rig, "text")
    end_tokens(rig.sandbox, account.external_id, "revoke")
    claim = await rig.claim()
    await rig.container.accounts.store_profiles(
        ada.user.id, Platform.FACEBOOK, [await rig.profile(Platform.FACEBOOK, external_id=account.external_id)]
    )

    await rig.publisher().publish(claim)
    await rig.publish()

    assert (await rig.account_row(account)).status == AccountStatus.CONNECTED
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_a_connection_during_a_claim_leaves_nothing_blocked(rig: Rig) -> None:
    """Connecting and claiming at once, many times: no target is BLOCKED on an account that is CONNECTED."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    profile = await rig.profile(Platform.FACEBOOK, external_id=account.external_id)
    claimer = rig.claimer()
    for _ in range(15):
        await rig.write(update(ACCOUNTS).values(status=AccountStatus.EXPIRED))
        post = await rig.schedule_due_blocked(ada, account)
        await asyncio.gather(
            claimer.claim_due(rig.worker_id, limit=50),
            rig.container.accounts.store_profiles(ada.user.id, Platform.FACEBOOK, [profile]),
        )
        assert (await rig.target(post)).status is not TargetStatus.BLOCKED


async def test_a_channel_whose_token_just_ended_is_not_lost(rig: Rig) -> None:
    """After an outage an hour's token is over, its grant is not: the target waits for the refresh, nobody else."""
    _, account, post = await a_due_post(rig, "youtube")
    end_tokens(rig.sandbox, account.external_id, "expire")
    await rig.write(update(ACCOUNTS).values(expires_at=now() - timedelta(minutes=5)))

    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.SCHEDULED
    await rig.container.tokens.refresh_due()
    await rig.hurry()
    await rig.publish()

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert (await rig.account_row(account)).status == AccountStatus.CONNECTED


async def test_a_token_that_ended_early_is_refreshed_before_anybody_is_asked(rig: Rig) -> None:
    """The platform refuses a token that should still hold: one refresh is tried before the account counts as lost."""
    _, account, post = await a_due_post(rig, "youtube")
    end_tokens(rig.sandbox, account.external_id, "expire")

    await rig.publish()
    await rig.container.tokens.refresh_due()
    await rig.hurry()
    await rig.publish()

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert (await rig.account_row(account)).status == AccountStatus.CONNECTED


async def test_a_mistake_of_ours_ends_somewhere(rig: Rig) -> None:
    """A token that no key opens: no endless circle of leases, but the retry policy and then the person."""
    _, _, post = await a_due_post(rig, "text")
    await rig.write(update(ACCOUNTS).values(access_token=b"not sealed by us"))
    publisher = rig.publisher(retry=RetryPolicy(first=timedelta(0), most=2))

    for _ in range(2):
        await rig.publish(publisher)
        await rig.hurry()

    target = await rig.target(post)
    assert target.status is TargetStatus.FAILED
    assert target.last_error is not None and target.last_error.code is ErrorCode.INTERNAL


def end_tokens(sandbox: RunningSandbox, account: str, action: str) -> None:
    """End an account's tokens as time (`expire`) or a changed password (`revoke`) would."""
    order = {"account": account, "action": action}
    assert sandbox.http.post("/control/tokens", json=order).raise_for_status().json()["ended"] > 0
