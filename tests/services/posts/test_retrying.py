"""An operator sends failed targets again, many at once."""

import asyncio
from datetime import timedelta
from functools import partial

from sqlalchemy import select, update

from services.domain.accounts import Platform
from services.domain.changes import FailedFilter
from services.domain.errors import ErrorCode
from services.domain.posts import TargetStatus
from services.domain.viewers import Role
from services.models import IDEMPOTENCY_KEYS, POSTS, TARGETS
from tests.rig import Rig, now, refused


async def test_failed_targets_are_sent_again_by_cause(rig: Rig) -> None:
    """By platform, code, person and time of failing; what moved on meanwhile is left alone; the number is told."""
    ada, eve = await rig.add_user(), await rig.add_user("Eve")
    accounts = [await rig.add_account(ada), await rig.add_account(eve)]
    body = {"error": {"message": "No.", "type": "OAuthException", "code": 100}}
    rig.sandbox.arm("facebook.feed", status=400, body=body, times=2)
    posts = [await rig.schedule_due(*pair) for pair in zip((ada, eve), accounts, strict=True)]
    await rig.publish()
    retry = partial(rig.container.failed.retry_failed, await rig.add_user("Root", role=Role.ADMIN))

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
        bulk = asyncio.create_task(rig.container.failed.retry_failed(ada, FailedFilter()))
        await asyncio.sleep(0.3)
        held = {"status": TargetStatus.PUBLISHING, "step_shows": True, "lease_until": now() + timedelta(minutes=1)}
        await c.execute(update(TARGETS).values(**held))

    assert await bulk == 0
    assert (await rig.row(post)).step_shows


async def test_one_key_sends_again_once_however_often_it_is_asked(rig: Rig) -> None:
    """Nothing that has failed anew since the key's first use; a new key is a new wish, another filter none of this."""
    ada, root = await rig.add_user(), await rig.add_user("Root", role=Role.ADMIN)
    account = await rig.add_account(ada)
    body = {"error": {"message": "No.", "type": "OAuthException", "code": 100}}
    rig.sandbox.arm("facebook.feed", status=400, body=body, times=2)
    post = await rig.schedule_due(ada, account)
    await rig.publish()
    retry = partial(rig.container.failed.retry_failed, root)

    counts = await asyncio.gather(*(retry(FailedFilter(), idempotency_key="k") for _ in range(20)))

    assert sorted(counts) == [*[0] * 19, 1]
    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.FAILED
    assert await retry(FailedFilter(), idempotency_key="k") == 0
    with refused(ErrorCode.IDEMPOTENCY_MISMATCH, "idempotencyKey"):
        await retry(FailedFilter(user_id=ada.user.id), idempotency_key="k")
    assert (await rig.target(post)).status is TargetStatus.FAILED
    assert await retry(FailedFilter(), idempotency_key="another") == 1
    await rig.publish()
    assert len(rig.seen(account)) == 1


async def test_a_bulk_retry_that_broke_off_goes_on_with_its_key(rig: Rig) -> None:
    """The key is taken before anything is sent: it stands for what had failed by then, whether that was sent or not."""
    ada = await rig.add_user()
    body = {"error": {"message": "No.", "type": "OAuthException", "code": 100}}
    rig.sandbox.arm("facebook.feed", status=400, body=body)
    await rig.schedule_due(ada, await rig.add_account(ada))
    await rig.publish()
    retry = partial(rig.container.failed.retry_failed, ada, FailedFilter(), idempotency_key="k")

    async with rig.container.backends.database.begin() as c:
        await c.execute(select(POSTS.c.id).with_for_update())
        bulk = asyncio.create_task(retry())
        while not await rig.rows(select(IDEMPOTENCY_KEYS.c.key)):
            await asyncio.sleep(0.01)
        bulk.cancel()
        await asyncio.gather(bulk, return_exceptions=True)

    assert await retry() == 1
    assert await retry() == 0
