"""An operator sends failed targets again, many at once."""

import asyncio
from datetime import timedelta

from sqlalchemy import select, update

from services.domain.accounts import Platform
from services.domain.changes import FailedFilter
from services.domain.errors import ErrorCode
from services.domain.posts import TargetStatus
from services.models import POSTS, TARGETS
from tests.rig import Rig, now


async def test_failed_targets_are_sent_again_by_cause(rig: Rig) -> None:
    """By platform, code, person and time of failing; what moved on meanwhile is left alone; the number is told."""
    ada, eve = await rig.add_user(), await rig.add_user("Eve")
    accounts = [await rig.add_account(ada), await rig.add_account(eve)]
    body = {"error": {"message": "No.", "type": "OAuthException", "code": 100}}
    rig.sandbox.arm("facebook.feed", status=400, body=body, times=2)
    posts = [await rig.schedule_due(*pair) for pair in zip((ada, eve), accounts, strict=True)]
    await rig.publish()
    retry = rig.container.posts.retry_failed

    assert await retry(FailedFilter(platforms=(Platform.YOUTUBE,))) == 0
    assert await retry(FailedFilter(codes=(ErrorCode.PLATFORM_ERROR,))) == 0
    assert await retry(FailedFilter(failed_since=now() + timedelta(minutes=1))) == 0
    wanted = FailedFilter(
        platforms=(Platform.FACEBOOK,),
        codes=(ErrorCode.CONTENT_REJECTED,),
        user_id=eve.user.id,
        failed_since=now() - timedelta(minutes=1),
    )
    assert await retry(wanted) == 1
    assert [(await rig.target(post)).status for post in posts] == [TargetStatus.FAILED, TargetStatus.RETRYING]
    assert await retry(FailedFilter()) == 1
    assert await retry(FailedFilter()) == 0
    await rig.publish()
    assert [len(rig.seen(account)) for account in accounts] == [1, 1]


async def test_a_bulk_retry_takes_nothing_from_a_worker(rig: Rig) -> None:
    """Sent again by its person and claimed while the operator's batch waits for the post: left to that worker."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    body = {"error": {"message": "No.", "type": "OAuthException", "code": 100}}
    rig.sandbox.arm("facebook.feed", status=400, body=body)
    post = await rig.schedule_due(ada, account)
    await rig.publish()
    database = rig.container.backends.database

    async with database.begin() as c:
        await c.execute(select(POSTS.c.id).with_for_update())
        bulk = asyncio.create_task(rig.container.posts.retry_failed(FailedFilter()))
        await asyncio.sleep(0.3)
        held = {"status": TargetStatus.PUBLISHING, "step_shows": True, "lease_until": now() + timedelta(minutes=1)}
        await c.execute(update(TARGETS).values(**held))

    assert await bulk == 0
    assert (await rig.row(post)).step_shows
