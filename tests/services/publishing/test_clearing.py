"""What was prepared for a post that was canceled or changed is taken away at its platform, and nothing else is."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from services.domain.accounts import Account, Platform
from services.domain.changes import PostChanges
from services.domain.errors import ErrorCode
from services.domain.posts import Attempt, AttemptOutcome, PostState, TargetStatus
from services.domain.viewers import Viewer
from services.models import LEFTOVERS, TARGETS
from services.providers.facebook_discarding import OUT
from services.queries.leftovers import leave_unsaved
from tests.rig import Rig, now
from tests.services.publishing.early import a_post_to_come, prepare
from tests.services.publishing.kinds import KINDS, a_due_post

AT_FACEBOOK = ["photos", "video", "facebook reel"]
UNSEEN = [*AT_FACEBOOK, "youtube"]


async def a_prepared_post(rig: Rig, name: str) -> tuple[Viewer, Account, PostState]:
    """A post of one kind, due in two minutes, up to the step that shows it."""
    viewer, account, post = await a_post_to_come(rig, name)
    await prepare(rig)
    return viewer, account, post


async def clear(rig: Rig, *, times: int = 1) -> None:
    """Whatever lies about is tried, so many times."""
    for _ in range(times):
        await rig.write(update(LEFTOVERS).values(due_at=func.now()))
        await rig.container.clearer.clear_due()


async def left(rig: Rig) -> list[Any]:
    """What still waits to be taken away."""
    return list(await rig.rows(select(LEFTOVERS)))


async def is_there(rig: Rig, account: Account, checkpoint: dict[str, Any]) -> list[bool]:
    """Whether each object of a checkpoint is still at its platform."""
    row = await rig.account_row(account)
    token = rig.container.secrets.open(row.access_token, place=f"accounts|{account.id}|access_token")
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers) as http:
        if "session" in checkpoint:
            asked = await http.put(checkpoint["session"], headers={"Content-Range": f"bytes */{checkpoint['size']}"})
            return [asked.status_code == 308]
        names = [checkpoint[name] for name in ("post", "video", "reel") if name in checkpoint]
        answers = [
            await http.get(f"{rig.sandbox.url}/facebook/v25.0/{name}")
            for name in (*names, *checkpoint.get("photos", ()))
        ]
        return [answer.status_code == 200 for answer in answers]


async def discards(rig: Rig, post: PostState) -> list[Attempt]:
    """The ledger's lines about taking away."""
    return [line for line in await rig.ledger(post) if line.step == "discard"]


@pytest.mark.parametrize("name", UNSEEN)
@pytest.mark.parametrize("change", ["cancel", "edit", "move", "now", "delete"])
async def test_a_change_of_mind_leaves_nothing_at_the_platform(rig: Rig, name: str, change: str) -> None:
    """Whoever changes a prepared post: the old objects are deleted there, and its ledger says so."""
    ada, account, post = await a_prepared_post(rig, name)
    checkpoint = (await rig.row(post)).checkpoint
    there = await is_there(rig, account, checkpoint)
    assert there and all(there)
    posts, key = rig.container.posts, post.post.id

    match change:
        case "cancel":
            await posts.cancel_post(ada, key, expected_version=None)
        case "edit":
            await posts.update_post(ada, key, PostChanges(caption="Better"), expected_version=None)
        case "move":
            await posts.reschedule_post(ada, key, now() + timedelta(hours=3), expected_version=None)
        case "now":
            await posts.publish_post_now(ada, key, expected_version=None)
        case "delete":
            await posts.delete_post(ada, key)
    await clear(rig)

    assert not any(await is_there(rig, account, checkpoint))
    assert await left(rig) == []
    if change != "delete":
        [line] = await discards(rig, post)
        assert (line.number, line.outcome, line.code) == (1, AttemptOutcome.SUCCEEDED, None)
    if change in ("edit", "now"):
        await rig.come(post)
        await rig.publish()
        assert [one["count"] for one in rig.seen(account)] == [1]
        lines = await rig.ledger(post)
        assert [line.number for line in lines] == sorted(line.number for line in lines)
    else:
        assert rig.seen(account) == []


CONTENT = {"status": 400, "body": {"error": {"message": "(#100) Too little.", "type": "OAuthException", "code": 100}}}
PERMISSION = {"preset": "permission"}


@pytest.mark.parametrize(
    ("name", "route", "refusal"),
    [
        ("photos", "facebook.feed", CONTENT),
        ("photos", "facebook.update", CONTENT),
        ("video", "facebook.update", PERMISSION),
        ("youtube", "youtube.upload", PERMISSION),
    ],
)
async def test_a_retry_of_what_failed_leaves_nothing_of_the_first_try(
    rig: Rig, name: str, route: str, refusal: dict[str, Any]
) -> None:
    """It begins anew and shows once; what the platform had taken before it refused is taken away there."""
    ada, account, post = await a_due_post(rig, name)
    rig.sandbox.arm(route, **refusal)
    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.FAILED
    checkpoint = (await rig.row(post)).checkpoint
    there = await is_there(rig, account, checkpoint)
    assert there and all(there)

    await rig.container.posts.retry_post(ada, post.post.id, accept_duplicate=False)
    await rig.publish()
    await clear(rig)

    assert not any(await is_there(rig, account, checkpoint))
    assert await left(rig) == []
    assert [one["count"] for one in rig.seen(account)] == [1]
    [line] = await discards(rig, post)
    assert line.outcome is AttemptOutcome.SUCCEEDED


async def test_an_account_that_is_left_out_leaves_nothing_at_its_platform(rig: Rig) -> None:
    """The target is gone with its ledger; what was prepared of it is taken away all the same."""
    ada, account, post = await a_prepared_post(rig, "photos")
    checkpoint = (await rig.row(post)).checkpoint
    other = await rig.add_account(ada)

    await rig.container.posts.update_post(
        ada, post.post.id, PostChanges(account_ids=(other.id,)), expected_version=None
    )
    await clear(rig)

    assert not any(await is_there(rig, account, checkpoint))
    assert await left(rig) == []


async def test_instagram_is_left_to_forget_by_itself(rig: Rig) -> None:
    """There is nothing to delete, and no call to make; the ledger says what becomes of the container."""
    ada, _, post = await a_prepared_post(rig, "image")
    before = len(rig.requests("instagram.media"))
    await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)
    await clear(rig)

    [line] = await discards(rig, post)
    assert line.outcome is AttemptOutcome.SUCCEEDED
    assert line.message is not None and "24 hours" in line.message
    assert len(rig.requests("instagram.media")) == before
    assert await left(rig) == []


@pytest.mark.parametrize(("name", "route"), [("photos", "facebook.feed"), ("youtube", "youtube.insert")])
async def test_what_a_worker_made_while_it_lost_its_lease_is_taken_away_too(rig: Rig, name: str, route: str) -> None:
    """The cancel came while the platform was making it: only that worker ever learns of it."""
    ada = await rig.add_user()
    account = await rig.add_account(ada, KINDS[name].platform)
    post = await rig.schedule(ada, account, sample=KINDS[name].sample, hours=1 / 30)
    rig.sandbox.arm(route, when="after", action="delay", seconds=0.5)
    [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)
    preparing = asyncio.create_task(rig.preparer().prepare(claim))
    while not rig.requests(route):
        await asyncio.sleep(0.02)

    await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)
    await preparing
    made = [row.checkpoint for row in await left(rig)]
    assert any(key in checkpoint for checkpoint in made for key in ("post", "session"))
    await clear(rig)

    for checkpoint in made:
        assert not any(await is_there(rig, account, checkpoint))
    assert await left(rig) == []


@pytest.mark.parametrize("is_out", [False, True], ids=["prepared", "out"])
async def test_what_another_worker_goes_on_with_is_left_alone(rig: Rig, is_out: bool) -> None:
    """A slow worker's lease ran out: the next one builds on its photos. Of the two posts only the slow one's goes, also
    where the other is out by then and the target remembers nothing of it."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule(ada, account, sample=KINDS["photos"].sample, hours=1 / 30)
    rig.sandbox.arm("facebook.feed", when="after", action="delay", seconds=3)
    [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)
    slow = asyncio.create_task(rig.preparer().prepare(claim))
    while not rig.requests("facebook.feed"):
        await asyncio.sleep(0.02)
    await rig.rescue()
    [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)
    await rig.preparer().prepare(claim)
    kept = (await rig.row(post)).checkpoint
    if is_out:
        await rig.come(post)
        await rig.publish()
    assert not slow.done(), "this machine is too slow for this test"
    await slow
    [other] = await left(rig)
    assert "photos" not in other.checkpoint
    assert other.checkpoint["post"] != kept["post"]

    await clear(rig)

    assert await is_there(rig, account, other.checkpoint) == [False]
    assert await is_there(rig, account, kept) == [True, True, True]
    if not is_out:
        await rig.come(post)
        await rig.publish()
    assert [(one["count"], one["media"]) for one in rig.seen(account)] == [(1, 2)]


async def test_what_was_stored_after_all_is_nobodys_to_take_away(rig: Rig) -> None:
    """The commit came through and its answer did not: the row knows of the object that the worker takes for lost."""
    _, _, post = await a_prepared_post(rig, "photos")
    checkpoint = (await rig.row(post)).checkpoint
    await rig.write(update(TARGETS).values(prepare_at=func.now()))
    [claim] = await rig.claimer().claim_early(rig.worker_id, limit=1)

    async with rig.container.backends.database.begin() as c:
        await leave_unsaved(c, claim, checkpoint)

    assert await left(rig) == []


@pytest.mark.parametrize("name", ["photos", "video", "facebook reel"])
async def test_what_people_see_is_never_taken_away(rig: Rig, name: str) -> None:
    """Should a leftover name it all the same: it is asked about first, and stays."""
    _, account, post = await a_prepared_post(rig, name)
    claimed = (await rig.row(post)).checkpoint
    await rig.come(post)
    [claim] = await rig.claimer().claim_due(rig.worker_id, limit=1)
    await rig.publisher().publish(claim)
    await rig.publish()
    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    async with rig.container.backends.database.begin() as c:
        await leave_unsaved(c, claim, claimed)
    assert len(await left(rig)) == 1

    await clear(rig)

    assert rig.requests("facebook.delete") == []
    assert len(rig.seen(account)) == 1
    assert [line.message for line in await discards(rig, post)] == [OUT]
    assert await left(rig) == []


async def test_a_post_in_doubt_leaves_nothing_to_be_taken_away(rig: Rig) -> None:
    """Sent again though it may be out: the first one is for its person to judge."""
    ada, _, post = await a_due_post(rig, "text")
    rig.sandbox.arm("facebook.update", when="after", action="drop")
    [claim] = await rig.claimer().claim_due(rig.worker_id, limit=1)
    await rig.publisher().publish(claim)
    assert (await rig.row(post)).checkpoint
    await rig.write(update(TARGETS).values(status=TargetStatus.UNCONFIRMED, step_shows=False, next_attempt_at=None))

    await rig.container.posts.retry_post(ada, post.post.id, accept_duplicate=True)

    assert await left(rig) == []


TROUBLE: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "drop": {"when": "after", "action": "drop"},
    "429": {"status": 429, "headers": {"Retry-After": "20"}},
}


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_trouble_is_tried_again_and_told_each_time(rig: Rig, trouble: str) -> None:
    """Two refusals in the ledger with the platform's words, then it is gone."""
    ada, account, post = await a_prepared_post(rig, "photos")
    checkpoint = (await rig.row(post)).checkpoint
    await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)
    rig.sandbox.arm("facebook.delete", times=2, **TROUBLE[trouble])

    await rig.container.clearer.clear_due()
    [waiting] = await left(rig)
    assert (waiting.tries, waiting.due_at > now() - timedelta(seconds=1)) == (1, True)
    await clear(rig, times=8)

    lines = await discards(rig, post)
    assert [line.outcome for line in lines[:2]] == [AttemptOutcome.FAILED] * 2
    assert all(line.code is not None and line.message for line in lines[:2])
    assert lines[-1].outcome is AttemptOutcome.SUCCEEDED
    assert not any(await is_there(rig, account, checkpoint))
    assert await left(rig) == []


async def test_what_never_gives_way_is_given_up(rig: Rig) -> None:
    """After eight tries; nobody sees it, and the ledger says what the platform said."""
    ada, _, post = await a_prepared_post(rig, "photos")
    await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)
    body = {"error": {"message": "Not yours.", "type": "OAuthException", "code": 10}}
    rig.sandbox.arm("facebook.delete", status=403, body=body, times=20)

    await clear(rig, times=10)

    lines = await discards(rig, post)
    assert [(line.outcome, line.code) for line in lines] == [(AttemptOutcome.FAILED, ErrorCode.PERMISSION_DENIED)] * 8
    assert await left(rig) == []


async def test_an_open_breaker_is_waited_for_and_counts_as_no_try(rig: Rig) -> None:
    """Closed again, it is taken away."""
    ada, account, post = await a_prepared_post(rig, "photos")
    checkpoint = (await rig.row(post)).checkpoint
    await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)
    await rig.container.breakers.force_open(Platform.FACEBOOK.breaker, by="a test")
    await clear(rig)
    [waiting] = await left(rig)
    assert (waiting.tries, await discards(rig, post)) == (0, [])
    assert waiting.due_at > now() + timedelta(seconds=10)

    await rig.container.breakers.reset(Platform.FACEBOOK.breaker, by="a test")
    await clear(rig)

    assert not any(await is_there(rig, account, checkpoint))


async def test_a_disconnected_account_can_take_nothing_away(rig: Rig) -> None:
    """Its tokens are gone: that is said, and not tried again."""
    ada, account, post = await a_prepared_post(rig, "photos")
    await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)
    await rig.container.accounts.disconnect_account(ada, account.id)

    await clear(rig)

    assert [line.code for line in await discards(rig, post)] == [ErrorCode.RECONNECT_REQUIRED]
    assert await left(rig) == []


async def test_clearers_side_by_side_take_each_away_once(rig: Rig) -> None:
    """Eight at once over one leftover: one set of calls."""
    ada, _, post = await a_prepared_post(rig, "photos")
    await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)

    assert sum(await asyncio.gather(*(rig.container.clearer.clear_due() for _ in range(8)))) == 1
    assert len(rig.requests("facebook.delete")) == 3
