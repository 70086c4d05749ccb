"""What defers a post: the person's hour, a platform that is ill, an outage. None of it is a failure."""

import asyncio
from datetime import timedelta
from pathlib import Path

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.running import RunningSandbox
from services.domain.accounts import Platform
from services.domain.errors import ErrorCode
from services.domain.posts import AttemptOutcome, TargetStatus
from tests.rig import Rig, now, open_rig
from tests.services.publishing.kinds import a_due_post


async def test_the_twenty_sixth_instagram_post_of_an_hour_waits_for_its_place(rig: Rig) -> None:
    """25 go out, the oldest; the others say RATE_LIMITED until when, stay SCHEDULED, and are charged nothing."""
    ada = await rig.add_user()
    account = await rig.add_account(ada, Platform.INSTAGRAM)
    posts = [await rig.schedule(ada, account, caption=f"Number {i:02}", sample="sunrise.jpg") for i in range(27)]
    for age, post in zip(range(27, 0, -1), posts, strict=True):
        await rig.come(post, ago=timedelta(seconds=age))

    await rig.publish()

    targets = [await rig.target(post) for post in posts]
    assert [target.status for target in targets] == [TargetStatus.PUBLISHED] * 25 + [TargetStatus.SCHEDULED] * 2
    assert sorted(one["caption"] for one in rig.seen(account)) == [f"Number {i:02}" for i in range(25)]
    for target in targets[25:]:
        assert target.waiting_for is not None and target.waiting_for.code is ErrorCode.RATE_LIMITED
        assert target.waiting_for.until == target.next_attempt_at
        assert target.next_attempt_at is not None
        assert timedelta(minutes=55) < target.next_attempt_at - now() < timedelta(minutes=61)
        assert (target.attempt_count, target.last_error) == (0, None)
    assert targets[25].next_attempt_at <= targets[26].next_attempt_at, "order is kept"  # type: ignore[operator] # neither is None
    assert await rig.slots(ada, Platform.INSTAGRAM) == 25


async def test_what_is_set_for_an_accounts_day_binds_beside_the_persons_hour(  # noqa: PLR0917 - pytest names them
    running_sandbox: RunningSandbox,
    database: AsyncEngine,
    redis: Redis,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
) -> None:
    """Two a day for each account: the third waits until the first is a day old, and another account's still goes."""
    running_sandbox.reset()
    servers = {"database_url": database_url, "redis_url": redis_url}
    async with open_rig(running_sandbox, folder=tmp_path, daily_limit_facebook=2, **servers) as rig:
        ada = await rig.add_user()
        one, other = await rig.add_account(ada), await rig.add_account(ada)
        posts = [await rig.schedule_due(ada, one, caption=f"Number {i}") for i in range(3)]
        elsewhere = await rig.schedule_due(ada, other)

        await rig.publish()

        targets = [await rig.target(post) for post in (*posts, elsewhere)]
        assert [target.status for target in targets] == [TargetStatus.PUBLISHED] * 2 + [
            TargetStatus.SCHEDULED,
            TargetStatus.PUBLISHED,
        ]
        waiting = targets[2].waiting_for
        assert waiting is not None and waiting.code is ErrorCode.RATE_LIMITED
        assert waiting.until is not None
        assert timedelta(hours=23) < waiting.until - now() < timedelta(hours=24, minutes=1)
        assert await rig.slots(ada, Platform.FACEBOOK) == 3


async def test_claimers_side_by_side_keep_the_limit(rig: Rig) -> None:
    """Eight claimers at once over 40 due posts of one person, on as many accounts: 25 are claimed, each by one."""
    ada = await rig.add_user()
    for i in range(40):
        account = await rig.add_account(ada, Platform.INSTAGRAM)
        await rig.come(await rig.schedule(ada, account, caption=f"Number {i}", sample="sunrise.jpg"))

    claimed: list[object] = []
    for _ in range(3):
        batches = await asyncio.gather(*(rig.claimer().claim_due(rig.worker_id, limit=20) for _ in range(8)))
        claimed += [claim.target_id for batch in batches for claim in batch]

    assert len(claimed) == len(set(claimed)) == 25


async def test_an_open_breaker_defers_without_charging(rig: Rig) -> None:
    """CIRCUIT_OPEN until the next probe; no attempt, no slot, no call; closed again, the post goes out."""
    ada, account, post = await a_due_post(rig, "text")
    await rig.container.breakers.force_open("facebook-api", by="a test")

    await rig.publish()

    target = await rig.target(post)
    assert (target.status, target.attempt_count) == (TargetStatus.SCHEDULED, 0)
    assert target.waiting_for is not None and target.waiting_for.code is ErrorCode.CIRCUIT_OPEN
    assert target.waiting_for.until == target.next_attempt_at
    assert await rig.slots(ada, Platform.FACEBOOK) == 0
    assert rig.requests("facebook.feed") == []
    assert [line.outcome for line in await rig.ledger(post)] == [AttemptOutcome.DEFERRED]

    await rig.container.breakers.reset("facebook-api", by="a test")
    await rig.hurry()
    await rig.publish()
    assert len(rig.seen(account)) == 1
    assert (await rig.target(post)).attempt_count == 1


async def test_a_breaker_that_opens_in_the_middle_keeps_what_was_prepared(rig: Rig) -> None:
    """The photo is uploaded, the breaker opens: later the post goes on from there."""
    _, account, post = await a_due_post(rig, "photos")
    rig.sandbox.arm("facebook.feed", status=500)
    await rig.publish()
    await rig.container.breakers.force_open("facebook-api", by="a test")
    await rig.hurry()
    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.RETRYING

    await rig.container.breakers.reset("facebook-api", by="a test")
    await rig.hurry()
    await rig.publish()

    assert len(rig.requests("facebook.photos")) == 2
    assert [one["count"] for one in rig.seen(account)] == [1]


async def test_an_ill_platform_opens_its_breaker_and_content_does_not(rig: Rig) -> None:
    """Five failures in a row open it; refused captions never do."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    for i in range(6):
        await rig.come(await rig.schedule(ada, account, caption=f"Number {i}"))
    body = {"error": {"message": "No.", "type": "OAuthException", "code": 100}}
    rig.sandbox.arm("facebook.feed", status=400, body=body, times=6)
    await rig.publish()
    assert (await rig.container.breakers.get_stats("facebook-api")).state == "CLOSED"

    for i in range(6):
        await rig.come(await rig.schedule(ada, await rig.add_account(ada), caption=f"Later {i}"))
    rig.sandbox.arm("facebook.feed", status=500, times=6)
    await rig.publish()
    assert (await rig.container.breakers.get_stats("facebook-api")).state == "OPEN"


async def test_a_limit_that_is_asked_back_opens_no_breaker(rig: Rig) -> None:
    """One account's day is full, as the step that shows says six times in a row: nobody else has to wait for that."""
    _, account, _ = await a_due_post(rig, "image")
    body = {"error": {"message": "No.", "type": "OAuthException", "code": 9, "error_subcode": 2207042}}
    rig.sandbox.arm("instagram.media_publish", when="before", status=400, body=body, times=6)

    for _ in range(6):
        await rig.publish()
        await rig.hurry()

    assert len(rig.requests("instagram.media_publish")) == 6
    assert (await rig.container.breakers.get_stats("instagram-api")).state == "CLOSED"
    await rig.publish()
    assert [one["count"] for one in rig.seen(account)] == [1]


async def test_what_was_overdue_for_too_long_waits_for_its_person(rig: Rig) -> None:
    """MISSED after the stated age, and nothing is sent; what is younger goes out; a retry sends the missed one."""
    ada = await rig.add_user()
    account, other = await rig.add_account(ada), await rig.add_account(ada)
    missed = await rig.schedule(ada, other, caption="missed")
    late = await rig.schedule(ada, account, caption="late")
    await rig.come(missed, ago=timedelta(hours=7))
    await rig.come(late, ago=timedelta(hours=5))

    await rig.publish()

    assert ([one["caption"] for one in rig.seen(account)], rig.seen(other)) == (["late"], [])
    target = await rig.target(missed)
    assert (target.status, target.next_attempt_at, target.attempt_count) == (TargetStatus.MISSED, None, 0)
    assert target.last_error is not None and target.last_error.code is ErrorCode.MISSED

    await rig.container.posts.retry_post(ada, missed.post.id, accept_duplicate=False)
    await rig.publish()
    assert (await rig.target(missed)).status is TargetStatus.PUBLISHED
