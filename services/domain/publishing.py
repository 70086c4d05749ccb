"""What passes between the publisher and a platform's client.

A client is a small state machine over a checkpoint: `next_step` says what to do (pure), `perform` does it. The
publisher saves the checkpoint *before* every step that follows a result, so that whoever finds a dead worker's target
knows which step may have happened. Expected ends are values:

    Advanced      the step is done; go on with the new checkpoint
    Pending       the platform works on it; come back at `poll_after`
    Published     people can see it
    Rejected      it is not out, and `failure.kind` says what to do
    Unknown       the request left and no answer says what became of it: ask with `find_out`, never repeat blindly
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.domain.accounts import Platform
from services.domain.errors import ErrorCode
from services.domain.options import TargetOptions
from services.domain.posts import Media

Checkpoint = Mapping[str, Any]
"""JSON by which a client finds its way back: container ids, session URIs, unpublished object ids."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One target as a client needs it: what to say, as whom, and how far it has come."""

    target_id: UUID
    post_id: UUID
    account_id: UUID
    user_id: UUID
    platform: Platform
    external_account_id: str
    access_token: str = field(repr=False)
    caption: str
    link: str | None
    media: tuple[Media, ...]
    options: TargetOptions | None
    scheduled_at: datetime
    attempt: int
    first_claimed_at: datetime
    """Nothing of this delivery can be on the platform from before this moment."""
    checkpoint: Checkpoint = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One call, or one bounded group of calls, to a platform."""

    name: str
    shows: bool
    """Whether people may see the post once this step has run; such a step is never repeated unasked."""
    spends: bool = False
    """Whether it uses up one of the calls that the platform grants all users of our app together."""


class FailureKind(StrEnum):
    """What a refusal asks of us."""

    RETRY = "RETRY"
    """Try again by the retry policy, from the checkpoint the failure carries."""
    WAIT = "WAIT"
    """A limit of the platform: defer without charging an attempt."""
    RECONNECT = "RECONNECT"
    """The token is dead: block the account's targets until the person connects again."""
    PERMISSION = "PERMISSION"
    """The account may not do this; the person mends it at the platform."""
    CONTENT = "CONTENT"
    """The platform does not want this content; to the person at once."""

    @property
    def is_platform_fault(self) -> bool:
        """Whether a circuit breaker counts it: only what says the platform itself is ill."""
        return self is FailureKind.RETRY


@dataclass(frozen=True, slots=True)
class Failure:
    """A platform's refusal, classified; `message` holds the platform's own words, never a token."""

    kind: FailureKind
    code: ErrorCode
    message: str
    platform_code: str | None = None
    """The platform's own code, such as `9004/2207052` or `quotaExceeded`."""
    retry_after: timedelta | None = None
    left: bool = True
    """False where the request never reached the platform (no connection): a taken quota slot is given back."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """The step is done; what follows starts from this checkpoint."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Pending:
    """The platform is still at work; ask again after `poll_after`."""

    checkpoint: Checkpoint
    poll_after: timedelta


@dataclass(frozen=True, slots=True)
class Published:
    """The post is in front of people."""

    platform_post_id: str
    permalink: str | None
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Rejected:
    """The post is not out; `checkpoint` is where a later attempt begins."""

    failure: Failure
    checkpoint: Checkpoint = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unknown:
    """The step may or may not have happened."""

    reason: str
    checkpoint: Checkpoint
    ask_after: timedelta = timedelta(seconds=2)
    refusal: FailureKind | None = None
    """What the platform's answer would mean if it could be believed; None: there was no answer."""


@dataclass(frozen=True, slots=True)
class Discarded:
    """What was prepared is no longer at the platform, or will not be for long."""

    message: str | None = None
    """What there is to say about it."""


StepOutcome = Advanced | Pending | Published | Rejected | Unknown
Finding = Published | Advanced | Pending | Rejected | Unknown
"""What asking the platform found: `Published`: it is out; `Advanced`: certainly not out, go on from the checkpoint."""


def beyond(checkpoint: Checkpoint, saved: Checkpoint) -> dict[str, Any]:
    """What the checkpoint holds that the saved one does not: of a list, its new items alone."""
    found: dict[str, Any] = {}
    for name, value in checkpoint.items():
        known = saved.get(name)
        if isinstance(value, list) and isinstance(known, list):
            value = [item for item in value if item not in known]  # noqa: PLW2901 - the same, cut down
            if not value:
                continue
        elif value == known:
            continue
        found[name] = value
    return found
