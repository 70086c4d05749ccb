"""Posts, their targets (one per account) and what became of them.

The life of a target:

    DRAFT ──► SCHEDULED ──► PUBLISHING ──► PUBLISHED
                 ▲  ▲           │  │
                 │  └─ RETRYING ◄┤  ├──► UNCONFIRMED   nobody can tell whether it went out: the person decides
                 │     BLOCKED ◄─┘  └──► FAILED        the content, or too many tries
                 │        └ goes on once its account is connected again
                 └─────────────── MISSED               overdue for too long to go out unasked
    CANCELED: the person said so before it went out.

A post's own status is a roll-up of its targets', see `roll_up`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.domain.accounts import Account, Platform
from services.domain.errors import ErrorCode
from services.domain.options import TargetOptions


class TargetStatus(StrEnum):
    """Where one target stands."""

    DRAFT = "DRAFT"
    SCHEDULED = "SCHEDULED"
    PUBLISHING = "PUBLISHING"
    RETRYING = "RETRYING"
    BLOCKED = "BLOCKED"
    UNCONFIRMED = "UNCONFIRMED"
    MISSED = "MISSED"
    PUBLISHED = "PUBLISHED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class PostStatus(StrEnum):
    """Where a post stands as a whole."""

    DRAFT = "DRAFT"
    SCHEDULED = "SCHEDULED"
    PUBLISHING = "PUBLISHING"
    RETRYING = "RETRYING"
    BLOCKED = "BLOCKED"
    UNCONFIRMED = "UNCONFIRMED"
    MISSED = "MISSED"
    PARTIALLY_PUBLISHED = "PARTIALLY_PUBLISHED"
    PUBLISHED = "PUBLISHED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


STILL_TO_COME: tuple[TargetStatus, ...] = (
    TargetStatus.PUBLISHING,
    TargetStatus.DRAFT,
    TargetStatus.UNCONFIRMED,
    TargetStatus.BLOCKED,
    TargetStatus.MISSED,
    TargetStatus.SCHEDULED,
    TargetStatus.RETRYING,
)
"""States from which a target may yet be published. The order decides a mixed post's status: first what happens right
now, then the least advanced, where what waits for the person is less advanced than what goes on by itself."""

ENDED: tuple[TargetStatus, ...] = (TargetStatus.PUBLISHED, TargetStatus.FAILED, TargetStatus.CANCELED)
"""States that nothing leaves without the person's word."""

CANCELABLE: tuple[TargetStatus, ...] = tuple(s for s in STILL_TO_COME if s is not TargetStatus.PUBLISHING)
"""States in which a cancel or an edit wins; while PUBLISHING the platform may already have the post."""


def roll_up(statuses: Iterable[TargetStatus]) -> PostStatus:
    """A post's status from its targets': all equal → that; else the first of `STILL_TO_COME` that occurs; else, with
    something published → PARTIALLY_PUBLISHED; else FAILED (some failed, some canceled). No targets: a DRAFT."""
    found = set(statuses)
    if not found:
        return PostStatus.DRAFT
    if len(found) == 1:
        return PostStatus(found.pop().value)
    for status in STILL_TO_COME:
        if status in found:
            return PostStatus(status.value)
    if TargetStatus.PUBLISHED in found:
        return PostStatus.PARTIALLY_PUBLISHED
    return PostStatus.FAILED


class MediaKind(StrEnum):
    """What a medium is."""

    IMAGE = "IMAGE"
    VIDEO = "VIDEO"


@dataclass(frozen=True, slots=True)
class Media:
    """One picture or video of a post; sizes in pixels, durations in seconds, None where nobody knows yet."""

    id: UUID
    post_id: UUID
    kind: MediaKind
    url: str
    position: int
    alt_text: str | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    upload_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """Why a target is not out yet, and until when that holds where somebody knows."""

    code: ErrorCode
    message: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class LastError:
    """What went wrong last, in the platform's words under our code."""

    code: ErrorCode
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class PostTarget:
    """One post on its way to one account."""

    id: UUID
    post_id: UUID
    account_id: UUID
    platform: Platform
    status: TargetStatus
    caption: str | None
    """What is said here instead of the post's own caption; None: the post's."""
    options: TargetOptions | None
    attempt_count: int
    next_attempt_at: datetime | None
    waiting_for: WaitingFor | None
    last_error: LastError | None
    platform_post_id: str | None
    permalink: str | None
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Post:
    """What a person wants to say, where and when."""

    id: UUID
    user_id: UUID
    caption: str
    link: str | None
    status: PostStatus
    scheduled_at: datetime | None
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    """Rises by one with every change of the post or of any of its targets."""


@dataclass(frozen=True, slots=True)
class PostState:
    """A post with all that belongs to it, as one moment saw it; what writers return and subscribers are told."""

    post: Post
    targets: tuple[PostTarget, ...]
    media: tuple[Media, ...]
    accounts: tuple[Account, ...] = ()
    """Those of the targets, so that telling a thousand people of a change reads nothing more."""


class AttemptOutcome(StrEnum):
    """How one step of one attempt ended."""

    SUCCEEDED = "SUCCEEDED"
    WAITING = "WAITING"
    DEFERRED = "DEFERRED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    INTERRUPTED = "INTERRUPTED"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the ledger: one step towards a platform, written once and never changed."""

    id: UUID
    target_id: UUID
    number: int
    step: str
    started_at: datetime
    ended_at: datetime
    outcome: AttemptOutcome
    code: ErrorCode | None
    message: str | None


class PostOrder(StrEnum):
    """The orders a list of posts comes in; posts without a time come after all others by SCHEDULED_AT_ASC."""

    SCHEDULED_AT_ASC = "SCHEDULED_AT_ASC"
    SCHEDULED_AT_DESC = "SCHEDULED_AT_DESC"
    CREATED_AT_ASC = "CREATED_AT_ASC"
    CREATED_AT_DESC = "CREATED_AT_DESC"


@dataclass(frozen=True, slots=True)
class PostFilter:
    """Which posts a list shows; None means no restriction. `scheduled_to` is exclusive."""

    statuses: tuple[PostStatus, ...] | None = None
    platforms: tuple[Platform, ...] | None = None
    account_ids: tuple[UUID, ...] | None = None
    scheduled_from: datetime | None = None
    scheduled_to: datetime | None = None
    search: str | None = None
