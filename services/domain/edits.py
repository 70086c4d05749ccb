"""What an edit, a move or a cancel means for a post that exists; pure."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from services.domain.changes import UNSET, PostChanges, kept
from services.domain.drafts import MediaDraft, PostDraft, Variant, default_options
from services.domain.errors import ErrorCode, refuse
from services.domain.posts import PostState, PostTarget, TargetStatus

EDITABLE = frozenset(
    {
        TargetStatus.DRAFT,
        TargetStatus.SCHEDULED,
        TargetStatus.PUBLISHING,
        TargetStatus.RETRYING,
        TargetStatus.BLOCKED,
        TargetStatus.MISSED,
        TargetStatus.FAILED,
        TargetStatus.CANCELED,
    }
)
"""Not out, and not possibly out. PUBLISHING is among them only while nothing has left: `check_not_in_flight`."""

CANCELABLE = EDITABLE - {TargetStatus.CANCELED}
RETRYABLE = frozenset({TargetStatus.FAILED, TargetStatus.MISSED, TargetStatus.UNCONFIRMED})


MAY_BE_OUT = "The post may be out already: confirm it with confirmPublished, or accept a possible duplicate."


def check_version(state: PostState, expected: int | None) -> None:
    """Raises CONFLICT where the post has changed since its editor read it."""
    if expected is not None and expected != state.post.version:
        message = f"The post is at version {state.post.version}, not {expected}: read it again."
        raise refuse(ErrorCode.CONFLICT, message, "expectedVersion")


def check_not_in_flight(in_flight: Collection[UUID]) -> None:
    """Raises ALREADY_PUBLISHING where a platform may already have part of the post."""
    if in_flight:
        raise refuse(ErrorCode.ALREADY_PUBLISHING, "The post is being published right now.", "id")


def targets_in(state: PostState, statuses: Collection[TargetStatus]) -> list[PostTarget]:
    """The state's targets that stand in one of these statuses."""
    return [target for target in state.targets if target.status in statuses]


def check_editable(state: PostState) -> None:
    """Raises NOT_POSSIBLE_NOW where all of the post is out or undecided; a post without targets is a bare draft."""
    if state.targets:
        require(targets_in(state, EDITABLE), "All of this post is out or unconfirmed.")


def require(targets: list[PostTarget], message: str) -> list[PostTarget]:
    """The same targets; raises NOT_POSSIBLE_NOW where there are none."""
    if not targets:
        raise refuse(ErrorCode.NOT_POSSIBLE_NOW, message, "id")
    return targets


def redraft(state: PostState, changes: PostChanges) -> PostDraft:
    """The post as its writer wants it from now on."""
    post = state.post
    account_ids = kept(changes.account_ids, tuple(target.account_id for target in state.targets))
    variants = kept(changes.variants, tuple(_variant(state, target) for target in state.targets))
    media = tuple(MediaDraft(m.kind, None if m.upload_id else m.url, m.upload_id, m.alt_text) for m in state.media)
    return PostDraft(
        caption=kept(changes.caption, post.caption),
        account_ids=account_ids,
        scheduled_at=kept(changes.scheduled_at, post.scheduled_at),
        link=kept(changes.link, post.link),
        media=kept(changes.media, media),
        variants=variants
        if changes.variants is not UNSET
        else tuple(v for v in variants if v.account_id in account_ids),
    )


def _variant(state: PostState, target: PostTarget) -> Variant:
    """What was chosen for a target: options that are no more than what its content suggests follow new content."""
    caption = state.post.caption if target.caption is None else target.caption
    suggested = default_options(target.platform, [medium.kind for medium in state.media], caption)
    return Variant(target.account_id, target.caption, None if target.options == suggested else target.options)


def due_status(scheduled_at: datetime | None) -> TargetStatus:
    """Where a target stands that has not been tried: waiting for its time, or for its writer."""
    return TargetStatus.DRAFT if scheduled_at is None else TargetStatus.SCHEDULED


def check_retry(targets: list[PostTarget], *, accept_duplicate: bool) -> list[PostTarget]:
    """The targets that a retry sends again; raises where one may be out already and nobody accepted that."""
    unconfirmed = any(target.status is TargetStatus.UNCONFIRMED for target in targets)
    if unconfirmed and not accept_duplicate:
        raise refuse(ErrorCode.OUTCOME_UNKNOWN, MAY_BE_OUT, "acceptDuplicate")
    return require(targets, "Nothing of this post has failed, was missed or is unconfirmed.")
