"""An API whose machine has a wrong clock: what people decide there means the same as anywhere else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from app.api import open_api
from services.domain.accounts import Platform
from services.domain.errors import ErrorCode
from services.domain.posts import TargetStatus
from services.models import OAUTH_STATES, TARGETS
from tests.rig import Rig, now, refused

WRONG = [timedelta(hours=8), timedelta(minutes=10), -timedelta(minutes=10), -timedelta(hours=8)]


@pytest.fixture(params=WRONG, ids=["8 h fast", "10 min fast", "10 min slow", "8 h slow"])
async def skewed(rig: Rig, request: pytest.FixtureRequest) -> Rig:
    """The rig with another wall clock, after its process has begun to serve."""
    wall: Callable[[], datetime] = lambda: now() + request.param  # noqa: E731 - a clock
    other = replace(rig, container=replace(rig.container, now=wall))
    async with open_api(other.container):
        pass
    return other


async def test_published_now_is_published_now(rig: Rig, skewed: Rig) -> None:
    """Neither later, nor as overdue, nor as missed; its calendar tells the true time."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule(ada, account)

    state = await skewed.container.posts.publish_post_now(ada, post.post.id, expected_version=None)
    await rig.publish()

    assert state.post.scheduled_at is not None and abs(state.post.scheduled_at - now()) < timedelta(minutes=1)
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert len(rig.seen(account)) == 1


async def test_sent_again_is_sent_at_once(rig: Rig, skewed: Rig) -> None:
    """A retry that seems to be eight hours old would count as missed."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule(ada, account)
    await rig.write(update(TARGETS).values(status=TargetStatus.FAILED, next_attempt_at=None))

    await skewed.container.posts.retry_post(ada, post.post.id, accept_duplicate=False)
    await rig.publish()

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED


async def test_a_time_is_past_or_to_come_by_the_shared_clock(rig: Rig, skewed: Rig) -> None:
    """What was a minute ago is refused, what is in a minute is taken."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    posts = skewed.container.posts

    with refused(ErrorCode.SCHEDULED_IN_PAST, "scheduledAt"):
        late = rig.draft(account, scheduled_at=now() - timedelta(minutes=1))
        await posts.schedule_post(ada, late, idempotency_key=None)
    post = await posts.schedule_post(
        ada, rig.draft(account, scheduled_at=now() + timedelta(minutes=1)), idempotency_key=None
    )
    with refused(ErrorCode.SCHEDULED_IN_PAST, "scheduledAt"):
        await posts.reschedule_post(ada, post.post.id, now() - timedelta(minutes=1), expected_version=None)


async def test_a_confirmed_post_was_published_by_the_shared_clock(rig: Rig, skewed: Rig) -> None:
    """The person saw it now."""
    ada = await rig.add_user()
    post = await rig.schedule(ada, await rig.add_account(ada))
    await rig.write(update(TARGETS).values(status=TargetStatus.UNCONFIRMED, next_attempt_at=None))
    [target] = post.targets

    state = await skewed.container.posts.confirm_published(ada, target.id, permalink=None)

    published_at = state.targets[0].published_at
    assert published_at is not None and abs(published_at - now()) < timedelta(minutes=1)


async def test_a_round_trip_and_its_tokens_end_by_the_shared_clock(rig: Rig, skewed: Rig) -> None:
    """The state of an OAuth round trip is held against the database's time, and so are the ends of tokens."""
    ada = await rig.add_user()
    await skewed.container.accounts.connect_account(ada, Platform.YOUTUBE)

    left = select(func.extract("epoch", OAUTH_STATES.c.expires_at - func.now()))
    [[seconds]] = await rig.rows(left)
    assert 0 < seconds <= 900
