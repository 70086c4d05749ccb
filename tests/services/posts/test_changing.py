"""What can be done to a post that exists: edits, moves, cancels, deletion, and who may do them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from services.domain.accounts import Platform
from services.domain.changes import PostChanges
from services.domain.drafts import MediaDraft, Variant
from services.domain.errors import ErrorCode
from services.domain.options import InstagramKind, InstagramOptions, YouTubeOptions
from services.domain.posts import MediaKind, PostState, PostStatus, TargetStatus
from services.domain.viewers import Viewer
from services.models import ATTEMPTS, POSTS, TARGETS
from tests.rig import Rig, now, refused

Use = Callable[[Rig, Viewer, UUID, int | None], Awaitable[Any]]
VERSIONED: dict[str, Use] = {
    "update": lambda rig, viewer, post, version: rig.container.posts.update_post(
        viewer, post, PostChanges(caption="New"), expected_version=version
    ),
    "reschedule": lambda rig, viewer, post, version: rig.container.posts.reschedule_post(
        viewer, post, now() + timedelta(hours=3), expected_version=version
    ),
    "publish now": lambda rig, viewer, post, version: rig.container.posts.publish_post_now(
        viewer, post, expected_version=version
    ),
    "cancel": lambda rig, viewer, post, version: rig.container.posts.cancel_post(
        viewer, post, expected_version=version
    ),
}
USES: dict[str, Use] = VERSIONED | {
    "delete": lambda rig, viewer, post, _: rig.container.posts.delete_post(viewer, post),
    "retry": lambda rig, viewer, post, _: rig.container.posts.retry_post(viewer, post, accept_duplicate=False),
}


async def a_post(rig: Rig, **draft: Any) -> tuple[Viewer, PostState]:
    """A scheduled post of somebody new."""
    ada = await rig.add_user()
    return ada, await rig.schedule(ada, await rig.add_account(ada), **draft)


@pytest.mark.parametrize("use", USES)
async def test_somebody_elses_post_looks_like_a_missing_one(rig: Rig, use: str) -> None:
    """NOT_FOUND for both, whoever asks, and the post stays as it was."""
    _, post = await a_post(rig)
    eve = await rig.add_user("Eve")

    for post_id in (post.post.id, uuid4()):
        with refused(ErrorCode.NOT_FOUND, "id"):
            await USES[use](rig, eve, post_id, None)
    assert await rig.state(post) == post


@pytest.mark.parametrize("use", VERSIONED)
async def test_a_stale_version_is_a_conflict(rig: Rig, use: str) -> None:
    """The expected version must be the present one; the right one wins and raises it by one."""
    ada, post = await a_post(rig)

    with refused(ErrorCode.CONFLICT, "expectedVersion"):
        await VERSIONED[use](rig, ada, post.post.id, post.post.version - 1)
    assert await rig.state(post) == post

    changed = await VERSIONED[use](rig, ada, post.post.id, post.post.version)
    assert changed.post.version == post.post.version + 1
    assert changed == await rig.state(post)


async def test_of_two_edits_on_one_version_one_wins(rig: Rig) -> None:
    """Twenty at once with the same expected version: one changes the post."""
    ada, post = await a_post(rig)
    edits = (
        rig.container.posts.update_post(
            ada, post.post.id, PostChanges(caption=f"Edit {i}"), expected_version=post.post.version
        )
        for i in range(20)
    )

    ends = await asyncio.gather(*edits, return_exceptions=True)

    [winner] = [end for end in ends if isinstance(end, PostState)]
    assert await rig.state(post) == winner


@pytest.mark.parametrize("use", ["update", "reschedule", "publish now", "cancel", "delete", "retry"])
async def test_what_a_worker_holds_is_already_publishing(rig: Rig, use: str) -> None:
    """Everything that would change it is refused, and changes nothing."""
    ada, post = await a_post(rig)
    await rig.come(post)
    await rig.claim()
    before = await rig.state(post)

    with refused(ErrorCode.ALREADY_PUBLISHING, "id"):
        await USES[use](rig, ada, post.post.id, None)

    assert await rig.state(post) == before


async def test_an_edit_changes_only_what_it_mentions(rig: Rig) -> None:
    """Caption, link and media each alone; None takes a link away."""
    ada, post = await a_post(rig, link="https://crier.example/a")
    edit = rig.container.posts.update_post

    state = await edit(ada, post.post.id, PostChanges(caption="New"), expected_version=None)
    assert (state.post.caption, state.post.link) == ("New", "https://crier.example/a")
    state = await edit(ada, post.post.id, PostChanges(link=None), expected_version=None)
    assert (state.post.caption, state.post.link) == ("New", None)
    picture = MediaDraft(MediaKind.IMAGE, "https://pictures.example/1.jpg", alt_text="A view")
    state = await edit(ada, post.post.id, PostChanges(media=(picture,)), expected_version=None)
    assert [(medium.url, medium.alt_text) for medium in state.media] == [(picture.url, "A view")]
    assert [target.id for target in state.targets] == [target.id for target in post.targets]
    assert state.targets[0].next_attempt_at == post.targets[0].next_attempt_at


async def test_an_edit_is_held_to_the_rules_and_changes_nothing_when_refused(rig: Rig) -> None:
    """As when it was new; but its own old time may be over."""
    ada, post = await a_post(rig)
    edit = rig.container.posts.update_post
    with refused(ErrorCode.CAPTION_REQUIRED, "caption"):
        await edit(ada, post.post.id, PostChanges(caption=""), expected_version=None)
    with refused(ErrorCode.SCHEDULED_IN_PAST, "scheduledAt"):
        await edit(ada, post.post.id, PostChanges(scheduled_at=now() - timedelta(hours=1)), expected_version=None)
    assert await rig.state(post) == post

    await rig.come(post, ago=timedelta(days=2))
    await rig.publish()
    state = await edit(ada, post.post.id, PostChanges(caption="Later"), expected_version=None)
    assert (state.post.caption, state.targets[0].status) == ("Later", TargetStatus.MISSED)


async def test_accounts_come_go_and_keep_the_picked_order(rig: Rig) -> None:
    """Several edits in a row: the targets are the picked accounts in the picked order, kept ones being the same."""
    ada = await rig.add_user()
    a, b, c, d = [await rig.add_account(ada) for _ in range(4)]
    post = await rig.schedule(ada, a, b)
    edit = rig.container.posts.update_post

    for picked in ((c, b), (b, d, a), (d, c, b, a), (a,)):
        wanted = tuple(account.id for account in picked)
        before = {target.account_id: target.id for target in (await rig.state(post)).targets}
        state = await edit(ada, post.post.id, PostChanges(account_ids=wanted), expected_version=None)
        assert tuple(target.account_id for target in state.targets) == wanted
        assert all(before.get(t.account_id, t.id) == t.id for t in state.targets)


async def test_an_account_where_it_is_out_cannot_be_left_out(rig: Rig) -> None:
    """What is published stays a part of the post; the rest can still change."""
    ada = await rig.add_user()
    out, failed = await rig.add_account(ada), await rig.add_account(ada, Platform.INSTAGRAM)
    body = {"error": {"message": "No.", "type": "OAuthException", "code": 100}}
    rig.sandbox.arm("instagram.media", status=400, body=body)
    post = await rig.schedule_due(ada, out, failed, sample="sunrise.jpg")
    await rig.publish()
    assert (await rig.state(post)).post.status is PostStatus.PARTIALLY_PUBLISHED
    edit = rig.container.posts.update_post

    with refused(ErrorCode.NOT_POSSIBLE_NOW, "accountIds"):
        await edit(ada, post.post.id, PostChanges(account_ids=(failed.id,)), expected_version=None)
    state = await edit(ada, post.post.id, PostChanges(account_ids=(out.id,)), expected_version=None)
    assert state.post.status is PostStatus.PUBLISHED
    with refused(ErrorCode.NOT_POSSIBLE_NOW, "id"):
        await edit(ada, post.post.id, PostChanges(caption="New"), expected_version=None)


async def test_an_edit_discards_what_was_prepared(rig: Rig) -> None:
    """A failed try left a checkpoint; the new caption goes out, not the prepared one."""
    ada, post = await a_post(rig)
    account = await rig.add_account(ada)
    post = await rig.schedule_due(ada, account, caption="Old")
    rig.sandbox.arm("facebook.update", status=400, body={"error": {"message": "Wait.", "code": 17}})
    await rig.publish()
    assert (await rig.row(post)).checkpoint

    await rig.container.posts.update_post(ada, post.post.id, PostChanges(caption="New"), expected_version=None)
    assert not (await rig.row(post)).checkpoint
    await rig.hurry()
    await rig.publish()

    assert [one["caption"] for one in rig.seen(account)] == ["New"]


async def test_what_nobody_chose_follows_the_content(rig: Rig) -> None:
    """A title taken from the caption, a shape taken from the media: they change with them; chosen ones stay."""
    ada = await rig.add_user()
    instagram, youtube = await rig.add_account(ada, Platform.INSTAGRAM), await rig.add_account(ada, Platform.YOUTUBE)
    edit = rig.container.posts.update_post
    film = await rig.schedule(ada, youtube, caption="First title", sample="clip.mp4")
    reel = await rig.schedule(ada, instagram, sample="clip.mp4")
    chosen = await rig.schedule(
        ada, youtube, sample="clip.mp4", variants=(Variant(youtube.id, options=YouTubeOptions("Mine")),)
    )

    retitled = await edit(ada, film.post.id, PostChanges(caption="Second title"), expected_version=None)
    pictured = await edit(ada, reel.post.id, PostChanges(media=(rig.medium("dusk.jpg"),)), expected_version=None)
    kept = await edit(ada, chosen.post.id, PostChanges(caption="Second title"), expected_version=None)

    assert retitled.targets[0].options == YouTubeOptions("Second title")
    assert pictured.targets[0].options == InstagramOptions(InstagramKind.FEED)
    assert kept.targets[0].options == YouTubeOptions("Mine")


async def test_a_moved_post_goes_out_at_its_new_time_alone(rig: Rig) -> None:
    """Calendar and due time move together; None by an edit makes it a draft again."""
    ada, post = await a_post(rig)
    later = now() + timedelta(hours=5)

    moved = await rig.container.posts.reschedule_post(ada, post.post.id, later, expected_version=None)
    assert moved.post.scheduled_at == moved.targets[0].next_attempt_at == later
    assert (await rig.row(post)).calendar_at == later
    with refused(ErrorCode.SCHEDULED_IN_PAST, "scheduledAt"):
        await rig.container.posts.reschedule_post(ada, post.post.id, now(), expected_version=None)

    changes = PostChanges(scheduled_at=None)
    drafted = await rig.container.posts.update_post(ada, post.post.id, changes, expected_version=None)
    assert (drafted.post.status, drafted.post.scheduled_at) == (PostStatus.DRAFT, None)
    assert drafted.targets[0].next_attempt_at is None


async def test_a_draft_can_be_published_now(rig: Rig) -> None:
    """At once, by the ordinary way; one without accounts says what is missing."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    posts = rig.container.posts
    draft = await posts.create_draft(ada, rig.draft(account, scheduled_at=None), idempotency_key=None)
    bare = await posts.create_draft(ada, rig.draft(scheduled_at=None), idempotency_key=None)

    state = await posts.publish_post_now(ada, draft.post.id, expected_version=None)
    assert state.post.status is PostStatus.SCHEDULED
    await rig.publish()
    assert len(rig.seen(account)) == 1
    with refused(ErrorCode.ACCOUNT_REQUIRED, "accountIds"):
        await posts.publish_post_now(ada, bare.post.id, expected_version=None)
    with refused(ErrorCode.NOT_POSSIBLE_NOW, "id"):
        await posts.publish_post_now(ada, draft.post.id, expected_version=None)


async def test_a_draft_is_completed_before_it_gets_its_time(rig: Rig) -> None:
    """A caption first, the video later: title and all follow from what is there in the end."""
    ada = await rig.add_user()
    account = await rig.add_account(ada, Platform.YOUTUBE)
    posts = rig.container.posts
    idea = await posts.create_draft(ada, rig.draft(account, caption="", scheduled_at=None), idempotency_key=None)
    with refused(ErrorCode.MEDIA_REQUIRED, "media"):
        changes = PostChanges(caption="How dough rises", scheduled_at=rig.draft().scheduled_at)
        await posts.update_post(ada, idea.post.id, changes, expected_version=None)

    whole = PostChanges(caption="How dough rises", media=rig.draft(sample="clip.mp4").media)
    await posts.update_post(ada, idea.post.id, whole, expected_version=None)
    await posts.publish_post_now(ada, idea.post.id, expected_version=None)
    await rig.publish()
    assert [one["title"] for one in rig.seen(account)] == ["How dough rises"]


async def test_a_canceled_post_stays_in_until_it_is_moved(rig: Rig) -> None:
    """Its time comes and nothing happens; a second cancel is refused; another time makes it due again."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule_due(ada, account)
    posts = rig.container.posts

    canceled = await posts.cancel_post(ada, post.post.id, expected_version=None)
    await rig.publish()
    assert (canceled.post.status, rig.seen(account)) == (PostStatus.CANCELED, [])
    with refused(ErrorCode.NOT_POSSIBLE_NOW, "id"):
        await posts.cancel_post(ada, post.post.id, expected_version=None)

    await posts.reschedule_post(ada, post.post.id, now() + timedelta(hours=1), expected_version=None)
    await rig.hurry()
    await rig.publish()
    assert len(rig.seen(account)) == 1


async def test_a_cancel_leaves_what_is_out(rig: Rig) -> None:
    """One account published, the other failing and tried again: only that one is canceled."""
    ada = await rig.add_user()
    out, waiting = await rig.add_account(ada), await rig.add_account(ada, Platform.INSTAGRAM)
    rig.sandbox.arm("instagram.media", status=500)
    post = await rig.schedule_due(ada, out, waiting, sample="sunrise.jpg")
    await rig.publish()

    state = await rig.container.posts.cancel_post(ada, post.post.id, expected_version=None)

    assert [target.status for target in state.targets] == [TargetStatus.PUBLISHED, TargetStatus.CANCELED]
    assert state.post.status is PostStatus.PARTIALLY_PUBLISHED


async def test_a_deleted_post_leaves_nothing_but_what_is_out(rig: Rig) -> None:
    """Rows and ledger are gone; what people see stays; a second deletion finds nothing."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule_due(ada, account)
    await rig.publish()

    assert await rig.container.posts.delete_post(ada, post.post.id) == post.post.id

    assert [await rig.rows(select(table)) for table in (POSTS, TARGETS, ATTEMPTS)] == [[], [], []]
    assert len(rig.seen(account)) == 1
    with refused(ErrorCode.NOT_FOUND, "id"):
        await rig.container.posts.delete_post(ada, post.post.id)
