"""The use cases of posts. Every change is one transaction with its event in it, in three beats: lock and check, act,
settle. Whatever the person can mend raises `Refused` and changes nothing.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.changes import UNSET, PostChanges
from services.domain.drafts import PostDraft
from services.domain.edits import (
    CANCELABLE,
    EDITABLE,
    RETRYABLE,
    check_editable,
    check_not_in_flight,
    check_retry,
    check_version,
    redraft,
    require,
    targets_in,
)
from services.domain.errors import ErrorCode, refuse
from services.domain.events import Event
from services.domain.ids import new_id
from services.domain.posts import Post, PostState, PostStatus, TargetStatus
from services.domain.urls import is_web_url
from services.domain.viewers import Viewer
from services.posts.composing import Composer, Composition
from services.posts.keys import read_fulfilled
from services.posts.rewriting import Rewriter
from services.queries import drafting
from services.queries.keys import Wish, find_fulfilled
from services.queries.states import LockedPost, lock_state, post_tag, settle_post
from services.queries.targets import find_targets

SOON = timedelta(seconds=2)
"""Workers are woken for what is due within this; they look for what comes later at least once a second."""

Act = Callable[[Transaction, LockedPost], Awaitable[dict[str, Any]]]
"""What a use case does to a locked post; answers with the post's own new values."""


class PostService:
    """Schedules posts, and does what can happen to them afterwards."""

    def __init__(
        self,
        *,
        transactions: DatabaseTransactionService,
        composer: Composer,
        rewriter: Rewriter,
        now: Callable[[], datetime],
    ) -> None:
        self._transactions = transactions
        self._composer = composer
        self._rewriter = rewriter
        self._now = now

    async def schedule_post(self, viewer: Viewer, draft: PostDraft, *, idempotency_key: str | None) -> PostState:
        """A new post that goes out at its time; the same key and input again gives the same post."""
        return await self._create(viewer, draft, "schedulePost", idempotency_key)

    async def create_draft(self, viewer: Viewer, draft: PostDraft, *, idempotency_key: str | None) -> PostState:
        """A new post that goes nowhere yet."""
        return await self._create(viewer, draft, "createDraft", idempotency_key)

    async def update_post(
        self, viewer: Viewer, post_id: UUID, changes: PostChanges, *, expected_version: int | None
    ) -> PostState:
        """Change what has not gone out; what was prepared of it is discarded."""

        async def act(tx: Transaction, locked: LockedPost) -> dict[str, Any]:
            check_editable(locked.state)
            draft = redraft(locked.state, changes)
            keeps_time = changes.scheduled_at is UNSET
            composition = await self._composer.compose(tx.connection, viewer.user.id, draft, keeps_time=keeps_time)

            await self._rewriter.rewrite_targets(tx.connection, locked.state, composition, keeps_time=keeps_time)
            if changes.media is not UNSET:
                await drafting.replace_media(tx.connection, post_id, self._composer.media(post_id, composition))
            await self._wake_for(tx, draft.scheduled_at)
            return {"caption": draft.caption, "link": draft.link, "scheduled_at": draft.scheduled_at}

        return await self._change(viewer, post_id, act, expected_version=expected_version)

    async def reschedule_post(
        self, viewer: Viewer, post_id: UUID, scheduled_at: datetime, *, expected_version: int | None
    ) -> PostState:
        """Give what has not gone out another time; what was canceled, missed or failed is due again."""
        self._composer.check_time(scheduled_at)
        return await self._move(viewer, post_id, scheduled_at, expected_version)

    async def publish_post_now(
        self, viewer: Viewer, post_id: UUID, *, expected_version: int | None, idempotency_key: str | None = None
    ) -> PostState:
        """Send at once what has not gone out; the same key and input again sends nothing more."""
        wish = Wish("publishPostNow", idempotency_key, [post_id, expected_version])
        return await self._move(viewer, post_id, self._now(), expected_version, wish)

    async def cancel_post(self, viewer: Viewer, post_id: UUID, *, expected_version: int | None) -> PostState:
        """What is not out will not go out; what is out stays."""

        async def act(tx: Transaction, locked: LockedPost) -> dict[str, Any]:
            targets = require(targets_in(locked.state, CANCELABLE), "Nothing of this post is still to come.")
            canceled = {"status": TargetStatus.CANCELED, "next_attempt_at": None}
            await self._rewriter.discard(tx.connection, targets, **canceled)
            return {}

        return await self._change(viewer, post_id, act, expected_version=expected_version)

    async def delete_post(self, viewer: Viewer, post_id: UUID) -> UUID:
        """Forget the post; what is on the platforms stays there."""

        async def delete(tx: Transaction) -> UUID:
            locked = await self._lock(tx, viewer, post_id)
            check_not_in_flight(locked.in_flight)
            await self._rewriter.forget(tx.connection, locked.state.targets)
            await drafting.delete_post(tx.connection, post_id)
            owner = locked.state.post.user_id
            await tx.emit(Event(owner, "POST_DELETED", {"id": post_id.hex}, (post_tag(owner),)))
            return post_id

        return await self._transactions.execute_in_transaction(delete)

    async def retry_post(
        self, viewer: Viewer, post_id: UUID, *, accept_duplicate: bool, idempotency_key: str | None = None
    ) -> PostState:
        """Send again what failed or was missed; what may be out already only if a duplicate is accepted.

        The same key and input again sends nothing more.
        """

        async def act(tx: Transaction, locked: LockedPost) -> dict[str, Any]:
            targets = check_retry(targets_in(locked.state, RETRYABLE), accept_duplicate=accept_duplicate)
            await self._rewriter.send_again(tx.connection, targets, at=self._now())
            return {}

        wish = Wish("retryPost", idempotency_key, [post_id, accept_duplicate])
        return await self._change(viewer, post_id, act, expected_version=None, wish=wish)

    async def confirm_published(self, viewer: Viewer, target_id: UUID, *, permalink: str | None) -> PostState:
        """The person saw the post on the platform: an UNCONFIRMED target is PUBLISHED."""
        if permalink is not None and not is_web_url(permalink):
            raise refuse(ErrorCode.VALIDATION_FAILED, "The permalink must be an http or https URL.", "permalink")
        post_id = await self._post_of(viewer, target_id)

        async def act(tx: Transaction, locked: LockedPost) -> dict[str, Any]:
            unconfirmed = [t for t in targets_in(locked.state, {TargetStatus.UNCONFIRMED}) if t.id == target_id]
            require(unconfirmed, "Only an unconfirmed target can be confirmed.")
            published = {"status": TargetStatus.PUBLISHED, "published_at": self._now(), "permalink": permalink}
            forgotten = {"error_code": None, "error_message": None, "error_retryable": None}
            await drafting.update_targets(
                tx.connection, [target_id], **drafting.UNPREPARED, **published, **forgotten, next_attempt_at=None
            )
            return {}

        return await self._change(viewer, post_id, act, expected_version=None)

    async def _create(self, viewer: Viewer, draft: PostDraft, operation: str, key: str | None) -> PostState:
        owner, post_id = viewer.user.id, new_id()

        async def create(tx: Transaction) -> PostState:
            made = await find_fulfilled(tx.connection, owner, Wish(operation, key, draft), object_id=post_id)
            if made is not None:
                return await read_fulfilled(tx.connection, owner, made)

            composition = await self._composer.compose(tx.connection, owner, draft)

            await self._insert(tx, owner, post_id, composition)
            await self._wake_for(tx, draft.scheduled_at)

            return await self._settle(tx, post_id)

        return await self._transactions.execute_in_transaction(create)

    async def _insert(self, tx: Transaction, owner: UUID, post_id: UUID, composition: Composition) -> None:
        draft, now = composition.draft, self._now()
        post = Post(
            id=post_id,
            user_id=owner,
            caption=draft.caption,
            link=draft.link,
            status=PostStatus.DRAFT,
            scheduled_at=draft.scheduled_at,
            published_at=None,
            created_at=now,
            updated_at=now,
            version=0,
        )
        await drafting.insert_post(tx.connection, post)
        targets = self._composer.targets(post_id, composition)
        await drafting.insert_targets(tx.connection, post, targets, prepare_at=self._composer.prepare_at(draft))
        await drafting.replace_media(tx.connection, post_id, self._composer.media(post_id, composition))

    async def _move(
        self,
        viewer: Viewer,
        post_id: UUID,
        scheduled_at: datetime,
        expected_version: int | None,
        wish: Wish | None = None,
    ) -> PostState:
        changes = PostChanges(scheduled_at=scheduled_at)

        async def act(tx: Transaction, locked: LockedPost) -> dict[str, Any]:
            check_editable(locked.state)
            draft = redraft(locked.state, changes)
            await self._composer.compose(tx.connection, viewer.user.id, draft, keeps_time=True)

            due = {"status": TargetStatus.SCHEDULED, "next_attempt_at": scheduled_at, "failure_count": 0}
            prepare_at = self._composer.prepare_at(draft)
            await self._rewriter.discard(
                tx.connection, targets_in(locked.state, EDITABLE), **due, prepare_at=prepare_at
            )
            await drafting.move_targets(tx.connection, post_id, scheduled_at)
            await self._wake_for(tx, scheduled_at)
            return {"scheduled_at": scheduled_at}

        return await self._change(viewer, post_id, act, expected_version=expected_version, wish=wish)

    async def _change(
        self, viewer: Viewer, post_id: UUID, act: Act, *, expected_version: int | None, wish: Wish | None = None
    ) -> PostState:
        owner = viewer.user.id

        async def change(tx: Transaction) -> PostState:
            if wish is not None:
                done = await find_fulfilled(tx.connection, owner, wish, object_id=post_id)
                if done is not None:
                    return await read_fulfilled(tx.connection, owner, done)
            locked = await self._lock(tx, viewer, post_id)
            check_version(locked.state, expected_version)
            check_not_in_flight(locked.in_flight)

            values = await act(tx, locked)

            return await self._settle(tx, post_id, **values)

        return await self._transactions.execute_in_transaction(change)

    async def _lock(self, tx: Transaction, viewer: Viewer, post_id: UUID) -> LockedPost:
        locked = await lock_state(tx.connection, post_id, owner=viewer.user.id)
        if locked is None:
            raise refuse(ErrorCode.NOT_FOUND, "You have no such post.", "id")
        return locked

    async def _settle(self, tx: Transaction, post_id: UUID, **values: Any) -> PostState:
        state, event = await settle_post(tx.connection, post_id, **values)
        await tx.emit(event)
        return state

    async def _wake_for(self, tx: Transaction, scheduled_at: datetime | None) -> None:
        if scheduled_at is not None and scheduled_at <= self._now() + SOON:
            await drafting.wake_workers(tx.connection)

    async def _post_of(self, viewer: Viewer, target_id: UUID) -> UUID:
        async def find(tx: Transaction) -> UUID:
            found = await find_targets(tx.connection, [target_id], owner=viewer.user.id)
            if target_id not in found:
                raise refuse(ErrorCode.NOT_FOUND, "You have no such target.", "targetId")
            return found[target_id].post_id

        return await self._transactions.execute_in_transaction(find, read_only=True)
