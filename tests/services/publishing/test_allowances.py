"""The project's day at YouTube: counted by its calls, whatever becomes of the post that each of them was for."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.running import RunningSandbox
from services.domain.accounts import Account, Platform
from services.domain.changes import PostChanges
from services.domain.errors import ErrorCode
from services.domain.posts import AttemptOutcome, PostState, TargetStatus
from services.domain.viewers import Viewer
from services.models import TARGETS
from services.providers.config import Hosts
from services.providers.media_source import MediaSource
from services.providers.youtube import YouTubeProvider
from tests.rig import Rig, now, open_rig

GRANTED = 2


@pytest.fixture
async def small(  # noqa: PLR0917 - pytest names them
    running_sandbox: RunningSandbox,
    database: AsyncEngine,
    redis: Redis,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
) -> AsyncIterator[Rig]:
    """A Crier whose project is granted two uploads a day."""
    running_sandbox.reset()
    servers = {"database_url": database_url, "redis_url": redis_url}
    async with open_rig(running_sandbox, folder=tmp_path, daily_limit_youtube_project=GRANTED, **servers) as rig:
        yield rig


async def used(rig: Rig) -> int:
    """How much of today is gone."""
    [use] = await rig.container.limits.peek([rig.windows().of_projects()[Platform.YOUTUBE]])
    return use.used


async def a_film(rig: Rig, *, caption: str = "A film") -> tuple[Viewer, Account, PostState]:
    """A video that is due in two minutes."""
    ada = await rig.add_user()
    account = await rig.add_account(ada, Platform.YOUTUBE)
    return ada, account, await rig.schedule(ada, account, caption=caption, sample="clip.mp4", hours=1 / 30)


async def prepare(rig: Rig) -> None:
    """All that may be prepared, once."""
    for claim in await rig.claimer().claim_early(rig.worker_id, limit=50):
        await rig.preparer().prepare(claim)


async def test_a_canceled_preparation_has_used_its_place(small: Rig) -> None:
    """YouTube has counted the upload that was opened; the post that never came takes no hour of its person."""
    ada, _, post = await a_film(small)
    await prepare(small)
    assert (await used(small), await small.slots(ada, Platform.YOUTUBE)) == (1, 0)

    await small.container.posts.cancel_post(ada, post.post.id, expected_version=None)

    assert (await used(small), len(small.requests("youtube.insert"))) == (1, 1)


async def test_a_prepared_post_uses_one_place_and_a_changed_one_another(small: Rig) -> None:
    """Preparing opens the upload, showing does not; an edit has it opened anew."""
    ada, account, post = await a_film(small)
    await prepare(small)
    await small.container.posts.update_post(ada, post.post.id, PostChanges(caption="Better"), expected_version=None)
    await prepare(small)
    await small.come(post)
    await small.publish()

    assert (await small.target(post)).status is TargetStatus.PUBLISHED
    assert (await used(small), len(small.requests("youtube.insert"))) == (2, 2)
    assert [one["count"] for one in small.seen(account)] == [1]


async def test_beyond_the_days_places_posts_wait_for_midnight_in_california(small: Rig) -> None:
    """Two go out; the third says until when it waits, is charged nothing, and YouTube never hears of it."""
    posts = []
    for number in range(GRANTED + 1):
        ada, _, post = await a_film(small, caption=f"Film {number}")
        await small.come(post)
        posts.append((ada, post))
    await small.publish()

    states = [(await small.target(post)).status for _, post in posts]
    assert sorted(states) == ["PUBLISHED", "PUBLISHED", "SCHEDULED"]
    waiting = next(one for one, status in zip(posts, states, strict=True) if status is TargetStatus.SCHEDULED)
    target = await small.target(waiting[1])
    window = small.windows().of_projects()[Platform.YOUTUBE]
    assert target.waiting_for is not None and target.waiting_for.code is ErrorCode.RATE_LIMITED
    assert "all users together" in target.waiting_for.message
    assert target.next_attempt_at is not None and window.ends_at is not None
    assert abs((target.next_attempt_at - window.ends_at).total_seconds()) < 60
    assert (target.attempt_count, target.last_error) == (0, None)
    assert await small.slots(waiting[0], Platform.YOUTUBE) == 0
    assert [line.outcome for line in await small.ledger(waiting[1])] == [AttemptOutcome.DEFERRED]
    assert len(small.requests("youtube.insert")) == GRANTED


async def test_a_full_day_stops_preparing_and_the_post_waits_at_its_own_time(small: Rig) -> None:
    """Nothing is said before; at its time it waits, and goes out with tomorrow's places."""
    for _ in range(GRANTED):
        await a_film(small)
    await prepare(small)
    _, account, post = await a_film(small)
    await prepare(small)
    assert await small.state(post) == post
    assert [(line.step, line.outcome) for line in await small.ledger(post)] == [
        ("start_upload", AttemptOutcome.DEFERRED)
    ]

    await small.come(post)
    await small.publish()
    assert (await small.target(post)).waiting_for is not None

    window = small.windows().of_projects()[Platform.YOUTUBE]
    async with small.container.backends.database.begin() as c:
        await small.container.quotas.clear(c, window)
    await small.hurry()
    await small.publish()
    assert [one["count"] for one in small.seen(account)] == [1]


async def test_a_call_that_was_never_made_uses_nothing(small: Rig) -> None:
    """An open breaker, a platform that cannot be reached, a medium that cannot be read: the place is free again."""
    _, _, post = await a_film(small)
    breakers, route = small.container.breakers, Platform.YOUTUBE.breaker
    await breakers.force_open(route, by="a test")
    await prepare(small)
    assert await used(small) == 0
    await breakers.reset(route, by="a test")

    config = small.container.platforms[Platform.YOUTUBE]
    nowhere = replace(config, hosts=Hosts.below("http://127.0.0.1:9"))
    backends = small.container.backends
    away = YouTubeProvider(http=backends.http, media=MediaSource(http=backends.media_http), config=nowhere, now=now)
    await small.write(update(TARGETS).values(prepare_at=func.now()))
    for claim in await small.claimer().claim_early(small.worker_id, limit=1):
        await small.preparer(providers={Platform.YOUTUBE: away}).prepare(claim)
    assert await used(small) == 0
    await breakers.reset(route, by="a test")

    await small.write(update(TARGETS).values(prepare_at=func.now()))
    [claim] = await small.claimer().claim_early(small.worker_id, limit=1)
    medium = replace(claim.media[0], url=f"{small.sandbox.url}/samples/nothing.mp4")
    await small.preparer().prepare(replace(claim, media=(medium,)))
    assert (await used(small), small.requests("youtube.insert")) == (0, [])
    assert (await small.target(post)).status is not TargetStatus.FAILED


async def test_a_refused_call_has_used_its_place(small: Rig) -> None:
    """Google counts invalid calls, too."""
    await a_film(small)
    body = {"error": {"code": 400, "message": "No.", "errors": [{"message": "No.", "reason": "invalidTitle"}]}}
    small.sandbox.arm("youtube.insert", status=400, body=body)
    await prepare(small)
    assert await used(small) == 1
