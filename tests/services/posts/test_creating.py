"""Scheduling and drafting: whole or not at all, once per key, and only with what is one's own."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text, update

from services.domain.accounts import Platform
from services.domain.drafts import MediaDraft, PostDraft, Variant
from services.domain.errors import ErrorCode, Refused
from services.domain.options import FacebookKind, FacebookOptions, InstagramOptions, YouTubeOptions
from services.domain.posts import MediaKind, PostStatus, TargetStatus
from services.models import IDEMPOTENCY_KEYS, MEDIA, POSTS, TARGETS
from tests.rig import Rig, now, refused


async def counts(rig: Rig) -> list[int]:
    """How many rows of everything that a post is made of there are."""
    tables = (POSTS, TARGETS, MEDIA, IDEMPOTENCY_KEYS)
    return [(await rig.rows(select(func.count()).select_from(table)))[0][0] for table in tables]


async def test_a_scheduled_post_holds_what_was_asked_for(rig: Rig) -> None:
    """Targets in the picked order, due at the time; media in order; version 1."""
    ada = await rig.add_user()
    accounts = [await rig.add_account(ada, platform) for platform in Platform]
    variants = (
        Variant(accounts[1].id, caption="For the page"),
        Variant(accounts[2].id, options=YouTubeOptions("Film")),
    )
    draft = rig.draft(*accounts, caption="To all", sample="clip.mp4", variants=variants, link="https://crier.example")

    state = await rig.container.posts.schedule_post(ada, draft, idempotency_key=None)

    assert state == await rig.state(state)
    assert (state.post.status, state.post.version) == (PostStatus.SCHEDULED, 1)
    assert (state.post.caption, state.post.link) == ("To all", "https://crier.example")
    assert [target.account_id for target in state.targets] == [account.id for account in accounts]
    assert {target.next_attempt_at for target in state.targets} == {draft.scheduled_at}
    assert [target.caption for target in state.targets] == [None, "For the page", None]
    assert state.targets[2].options == YouTubeOptions("Film")
    assert [medium.url for medium in state.media] == [draft.media[0].url]


async def test_a_draft_goes_nowhere(rig: Rig) -> None:
    """DRAFT, not due, and it may be without any account."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)

    for accounts in ((account,), ()):
        draft = rig.draft(*accounts, scheduled_at=None)
        state = await rig.container.posts.create_draft(ada, draft, idempotency_key=None)
        assert state.post.status is PostStatus.DRAFT
        assert all((t.status, t.next_attempt_at) == (TargetStatus.DRAFT, None) for t in state.targets)


async def test_what_breaks_a_rule_is_refused_and_changes_nothing(rig: Rig) -> None:
    """Each mistake by its code and field, and not a row more afterwards; keys of refused calls stay free."""
    ada = await rig.add_user()
    facebook, instagram = await rig.add_account(ada), await rig.add_account(ada, Platform.INSTAGRAM)
    strangers = await rig.add_account(await rig.add_user("Eve"))
    lost = await rig.add_account(ada)
    await rig.container.accounts.disconnect_account(ada, lost.id)
    good = rig.draft(facebook)
    picture = rig.medium("sunrise.jpg")
    wrong: list[tuple[PostDraft, ErrorCode, str]] = [
        (replace(good, scheduled_at=now() - timedelta(seconds=1)), ErrorCode.SCHEDULED_IN_PAST, "scheduledAt"),
        (replace(good, scheduled_at=now() + timedelta(days=2000)), ErrorCode.VALIDATION_FAILED, "scheduledAt"),
        (replace(good, account_ids=()), ErrorCode.ACCOUNT_REQUIRED, "accountIds"),
        (replace(good, account_ids=(strangers.id,)), ErrorCode.NOT_FOUND, "accountIds.0"),
        (replace(good, account_ids=(facebook.id, uuid4())), ErrorCode.NOT_FOUND, "accountIds.1"),
        (replace(good, account_ids=(lost.id,)), ErrorCode.ACCOUNT_NOT_CONNECTED, "accountIds.0"),
        (replace(good, caption=""), ErrorCode.CAPTION_REQUIRED, "caption"),
        (replace(good, link="ftp://files.example"), ErrorCode.VALIDATION_FAILED, "link"),
        (rig.draft(instagram), ErrorCode.MEDIA_REQUIRED, "media"),
        (rig.draft(instagram, media=(picture,) * 11), ErrorCode.TOO_MANY_MEDIA, "media"),
        (rig.draft(instagram, media=(picture,), caption="x" * 2201), ErrorCode.CAPTION_TOO_LONG, "caption"),
        (
            replace(good, media=(MediaDraft(MediaKind.IMAGE, "file:///etc"),)),
            ErrorCode.VALIDATION_FAILED,
            "media.0.url",
        ),
        (replace(good, media=(MediaDraft(MediaKind.IMAGE, None, uuid4()),)), ErrorCode.NOT_FOUND, "media.0.mediaId"),
        (
            replace(good, variants=(Variant(facebook.id, options=InstagramOptions()),)),
            ErrorCode.VALIDATION_FAILED,
            "variants.0",
        ),
        (replace(good, variants=(Variant(uuid4()),)), ErrorCode.VALIDATION_FAILED, "variants.0.accountId"),
    ]
    before = await counts(rig)
    for draft, code, field in wrong:
        with refused(code, field):
            await rig.container.posts.schedule_post(ada, draft, idempotency_key="the same")

    assert await counts(rig) == before
    await rig.container.posts.schedule_post(ada, good, idempotency_key="the same")


async def test_all_mistakes_are_told_at_once(rig: Rig) -> None:
    """A person mends everything in one go."""
    ada = await rig.add_user()
    draft = rig.draft(await rig.add_account(ada), link="nothing", scheduled_at=now() - timedelta(days=1))
    with pytest.raises(Refused) as refusal:
        await rig.container.posts.schedule_post(ada, draft, idempotency_key=None)
    assert [error.field for error in refusal.value.errors] == ["scheduledAt", "link"]


async def test_one_key_makes_one_post_however_many_ask_at_once(rig: Rig) -> None:
    """50 parallel calls: one post, and everybody gets it."""
    ada = await rig.add_user()
    accounts = [await rig.add_account(ada), await rig.add_account(ada)]
    draft = rig.draft(*accounts)

    states = await asyncio.gather(
        *(rig.container.posts.schedule_post(ada, draft, idempotency_key="once") for _ in range(50))
    )

    assert len({state.post.id for state in states}) == 1
    assert await counts(rig) == [1, 2, 0, 1]


async def test_a_key_with_other_input_is_refused(rig: Rig) -> None:
    """Any difference counts; another person's and another operation's keys are others."""
    ada, eve = await rig.add_user(), await rig.add_user("Eve")
    account, eves = await rig.add_account(ada), await rig.add_account(eve)
    draft = rig.draft(account)
    posts = rig.container.posts
    first = await posts.schedule_post(ada, draft, idempotency_key="k")

    others = [
        replace(draft, caption="Other"),
        replace(draft, scheduled_at=now() + timedelta(hours=2)),
        replace(draft, variants=(Variant(account.id, options=FacebookOptions(FacebookKind.POST)),)),
    ]
    for other in others:
        with refused(ErrorCode.IDEMPOTENCY_MISMATCH, "idempotencyKey"):
            await posts.schedule_post(ada, other, idempotency_key="k")
    theirs = await posts.schedule_post(eve, rig.draft(eves), idempotency_key="k")
    drafted = await posts.create_draft(ada, replace(draft, scheduled_at=None), idempotency_key="k")

    assert len({first.post.id, theirs.post.id, drafted.post.id}) == 3


async def test_a_key_holds_after_the_time_has_passed(rig: Rig) -> None:
    """A client that asks again a day later gets its post as it stands, not SCHEDULED_IN_PAST."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    draft = rig.draft(account, scheduled_at=now() + timedelta(seconds=1))
    first = await rig.container.posts.schedule_post(ada, draft, idempotency_key="k")
    await asyncio.sleep(1.1)
    await rig.publish()

    again = await rig.container.posts.schedule_post(ada, draft, idempotency_key="k")

    assert (again.post.id, again.post.status) == (first.post.id, PostStatus.PUBLISHED)
    assert len(rig.seen(account)) == 1


async def test_a_key_of_a_deleted_post_makes_no_other(rig: Rig) -> None:
    """What the key made was deleted on purpose."""
    ada = await rig.add_user()
    draft = rig.draft(await rig.add_account(ada))
    first = await rig.container.posts.schedule_post(ada, draft, idempotency_key="k")
    await rig.container.posts.delete_post(ada, first.post.id)

    with refused(ErrorCode.NOT_FOUND, "idempotencyKey"):
        await rig.container.posts.schedule_post(ada, draft, idempotency_key="k")


async def test_a_post_on_several_accounts_is_one_transaction(rig: Rig) -> None:
    """Where the second target cannot be written nothing is: neither post nor target nor key."""
    ada = await rig.add_user()
    accounts = [await rig.add_account(ada), await rig.add_account(ada)]
    limit = f"CHECK (account_id <> '{accounts[1].id}')"
    await rig.write(text(f"ALTER TABLE post_targets ADD CONSTRAINT no_second {limit}"))
    try:
        with pytest.raises(Exception, match="no_second"):
            await rig.container.posts.schedule_post(ada, rig.draft(*accounts), idempotency_key="k")
        assert await counts(rig) == [0, 0, 0, 0]
    finally:
        await rig.write(text("ALTER TABLE post_targets DROP CONSTRAINT no_second"))


@pytest.mark.parametrize("mutation", ["publishPostNow", "retryPost"])
async def test_one_key_sends_once_however_many_ask_at_once(rig: Rig, mutation: str) -> None:
    """50 parallel calls: one of them acts, all get the post; a later one, when it is out, changes nothing either."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule(ada, account)
    posts = rig.container.posts
    if mutation == "retryPost":
        await rig.write(update(TARGETS).values(status=TargetStatus.FAILED, next_attempt_at=None))
    calls = {
        "publishPostNow": lambda key: posts.publish_post_now(
            ada, post.post.id, expected_version=None, idempotency_key=key
        ),
        "retryPost": lambda key: posts.retry_post(ada, post.post.id, accept_duplicate=False, idempotency_key=key),
    }
    call = calls[mutation]

    states = await asyncio.gather(*(call("once") for _ in range(50)))

    assert {(state.post.id, state.post.version) for state in states} == {(post.post.id, post.post.version + 1)}
    await rig.publish()
    before = await rig.state(post)
    assert before.post.status is PostStatus.PUBLISHED
    assert await call("once") == before
    assert len(rig.seen(account)) == 1
    with refused(ErrorCode.NOT_POSSIBLE_NOW, "id"):
        await call("another")


async def test_a_key_that_sends_stands_for_one_wish(rig: Rig) -> None:
    """Another post, another version, another operation: none of them is the same wish; a refused one leaves it free."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    first, second = await rig.schedule(ada, account), await rig.schedule(ada, account)
    send = rig.container.posts.publish_post_now

    with refused(ErrorCode.CONFLICT, "expectedVersion"):
        await send(ada, first.post.id, expected_version=99, idempotency_key="k")
    await send(ada, first.post.id, expected_version=1, idempotency_key="k")
    for post, version in ((second, 1), (first, None)):
        with refused(ErrorCode.IDEMPOTENCY_MISMATCH, "idempotencyKey"):
            await send(ada, post.post.id, expected_version=version, idempotency_key="k")
    with refused(ErrorCode.NOT_POSSIBLE_NOW, "id"):
        await rig.container.posts.retry_post(ada, first.post.id, accept_duplicate=False, idempotency_key="k")
    assert (await rig.target(second)).next_attempt_at == second.post.scheduled_at
