"""The project's day at YouTube: counted by its calls, whatever becomes of the post that each of them was for."""

from dataclasses import replace

from sqlalchemy import func, update

from services.domain.accounts import Account, Platform
from services.domain.changes import PostChanges
from services.domain.errors import ErrorCode
from services.domain.posts import AttemptOutcome, PostState, TargetStatus
from services.domain.viewers import Viewer
from services.models import TARGETS
from services.providers.config import Hosts
from services.providers.media_source import MediaSource
from services.providers.youtube import YouTubeProvider
from tests.rig import Rig, now, rig_with

GRANTED = 2


pytestmark = rig_with(daily_limit_youtube_project=GRANTED)


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


async def test_a_canceled_preparation_has_used_its_place(rig: Rig) -> None:
    """YouTube has counted the upload that was opened; the post that never came takes no hour of its person."""
    ada, _, post = await a_film(rig)
    await prepare(rig)
    assert (await used(rig), await rig.slots(ada, Platform.YOUTUBE)) == (1, 0)

    await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)

    assert (await used(rig), len(rig.requests("youtube.insert"))) == (1, 1)


async def test_a_prepared_post_uses_one_place_and_a_changed_one_another(rig: Rig) -> None:
    """Preparing opens the upload, showing does not; an edit has it opened anew."""
    ada, account, post = await a_film(rig)
    await prepare(rig)
    await rig.container.posts.update_post(ada, post.post.id, PostChanges(caption="Better"), expected_version=None)
    await prepare(rig)
    await rig.come(post)
    await rig.publish()

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert (await used(rig), len(rig.requests("youtube.insert"))) == (2, 2)
    assert [one["count"] for one in rig.seen(account)] == [1]


async def test_beyond_the_days_places_posts_wait_for_midnight_in_california(rig: Rig) -> None:
    """Two go out; the third says until when it waits, is charged nothing, and YouTube never hears of it."""
    posts = []
    for number in range(GRANTED + 1):
        ada, _, post = await a_film(rig, caption=f"Film {number}")
        await rig.come(post)
        posts.append((ada, post))
    await rig.publish()

    states = [(await rig.target(post)).status for _, post in posts]
    assert sorted(states) == ["PUBLISHED", "PUBLISHED", "SCHEDULED"]
    waiting = next(one for one, status in zip(posts, states, strict=True) if status is TargetStatus.SCHEDULED)
    target = await rig.target(waiting[1])
    window = rig.windows().of_projects()[Platform.YOUTUBE]
    assert target.waiting_for is not None and target.waiting_for.code is ErrorCode.RATE_LIMITED
    assert "all users together" in target.waiting_for.message
    assert target.next_attempt_at is not None and window.ends_at is not None
    assert abs((target.next_attempt_at - window.ends_at).total_seconds()) < 60
    assert (target.attempt_count, target.last_error) == (0, None)
    assert await rig.slots(waiting[0], Platform.YOUTUBE) == 0
    assert [line.outcome for line in await rig.ledger(waiting[1])] == [AttemptOutcome.DEFERRED]
    assert len(rig.requests("youtube.insert")) == GRANTED


async def test_a_full_day_stops_preparing_and_the_post_waits_at_its_own_time(rig: Rig) -> None:
    """Nothing is said before; at its time it waits, and goes out with tomorrow's places."""
    for _ in range(GRANTED):
        await a_film(rig)
    await prepare(rig)
    _, account, post = await a_film(rig)
    await prepare(rig)
    assert await rig.state(post) == post
    assert [(line.step, line.outcome) for line in await rig.ledger(post)] == [("start_upload", AttemptOutcome.DEFERRED)]

    await rig.come(post)
    await rig.publish()
    assert (await rig.target(post)).waiting_for is not None

    window = rig.windows().of_projects()[Platform.YOUTUBE]
    async with rig.container.backends.database.begin() as c:
        await rig.container.quotas.clear(c, window)
    await rig.hurry()
    await rig.publish()
    assert [one["count"] for one in rig.seen(account)] == [1]


async def test_a_call_that_was_never_made_uses_nothing(rig: Rig) -> None:
    """An open breaker, a platform that cannot be reached, a medium that cannot be read: the place is free again."""
    _, _, post = await a_film(rig)
    breakers, route = rig.container.breakers, Platform.YOUTUBE.breaker
    await breakers.force_open(route, by="a test")
    await prepare(rig)
    assert await used(rig) == 0
    await breakers.reset(route, by="a test")

    config = rig.container.platforms[Platform.YOUTUBE]
    nowhere = replace(config, hosts=Hosts.below("http://127.0.0.1:9"))
    backends = rig.container.backends
    away = YouTubeProvider(http=backends.http, media=MediaSource(http=backends.media_http), config=nowhere, now=now)
    await rig.write(update(TARGETS).values(prepare_at=func.now()))
    for claim in await rig.claimer().claim_early(rig.worker_id, limit=1):
        await rig.preparer(providers={Platform.YOUTUBE: away}).prepare(claim)
    assert await used(rig) == 0
    await breakers.reset(route, by="a test")

    await rig.write(update(TARGETS).values(prepare_at=func.now()))
    [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)
    medium = replace(claim.media[0], url=f"{rig.sandbox.url}/samples/nothing.mp4")
    await rig.preparer().prepare(replace(claim, media=(medium,)))
    assert (await used(rig), rig.requests("youtube.insert")) == (0, [])
    assert (await rig.target(post)).status is not TargetStatus.FAILED


async def test_a_refused_call_has_used_its_place(rig: Rig) -> None:
    """Google counts invalid calls, too."""
    await a_film(rig)
    body = {"error": {"code": 400, "message": "No.", "errors": [{"message": "No.", "reason": "invalidTitle"}]}}
    rig.sandbox.arm("youtube.insert", status=400, body=body)
    await prepare(rig)
    assert await used(rig) == 1
