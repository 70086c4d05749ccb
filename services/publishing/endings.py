"""What a target becomes after a step: one decision per outcome, pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from services.domain.accounts import AccountStatus
from services.domain.errors import CircuitOpen, ErrorCode
from services.domain.posts import AttemptOutcome, TargetStatus
from services.domain.publishing import Failure, FailureKind, Pending, Published, Rejected, Unknown
from services.publishing.retry import RetryPolicy
from services.queries.claims import Claim

DEFAULT_WAIT = timedelta(minutes=15)
"""For a platform's limit that does not say how long it holds."""

ASK_PERSON = "Look at the account: confirm the post with confirmPublished, or send it again with retryPost."
"""What helps where no platform can tell."""

NO_STEP: dict[str, Any] = {"step": None, "step_began_at": None, "step_shows": False}
NO_WAIT: dict[str, Any] = {"waiting_code": None, "waiting_message": None, "waiting_until": None}
NO_ERROR: dict[str, Any] = {"error_code": None, "error_message": None, "error_retryable": None}


class Slot(Enum):
    """What happens to the quota slot that the delivery holds."""

    KEPT = "KEPT"
    ENDED = "ENDED"
    GIVEN_BACK = "GIVEN_BACK"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker lets go of a target."""

    outcome: AttemptOutcome | None
    """How the step ended that was under way; None: there was none."""
    changes: Mapping[str, Any]
    code: ErrorCode | None = None
    message: str | None = None
    slot: Slot = Slot.KEPT
    is_charged: bool = True
    seen_at: datetime | None = None
    """When people could see the post; None where they cannot yet."""
    is_told: bool = True
    """Whether anything has changed that people see."""
    account: AccountStatus | None = None
    """What the account turns into, where the platform no longer takes its token: EXPIRED, or EXPIRING where a refresh
    may still mend it."""


@dataclass(frozen=True, slots=True)
class Endings:
    """The decisions, with the clock and the policies they need."""

    now: Callable[[], datetime]
    random: Callable[[], float]
    retry: RetryPolicy
    patience: timedelta
    """For so long after a step of unknown outcome the platform is asked before the person is."""

    def published(self, claim: Claim, outcome: Published) -> Ending:
        """It is out. Platforms tell whole seconds; nothing is out before its time, so that bounds them."""
        changes = {
            **NO_STEP,
            **NO_WAIT,
            **NO_ERROR,
            "status": TargetStatus.PUBLISHED,
            "next_attempt_at": None,
            "checkpoint": {},
            "platform_post_id": outcome.platform_post_id,
            "permalink": outcome.permalink,
            "published_at": max(outcome.published_at, claim.scheduled_at),
            "failure_count": 0,
        }
        return Ending(AttemptOutcome.SUCCEEDED, changes, slot=Slot.ENDED, seen_at=changes["published_at"])

    def pending(self, outcome: Pending, *, may_show: bool) -> Ending:
        """The platform works on it; nobody has to hold it meanwhile. `may_show`: people may see it already."""
        doubt = {"step_shows": True} if may_show else NO_STEP
        changes = {**doubt, "checkpoint": outcome.checkpoint, "next_attempt_at": self.now() + outcome.poll_after}
        return Ending(AttemptOutcome.WAITING, changes)

    def unknown(self, outcome: Unknown, *, since: datetime | None) -> Ending:
        """Ask the platform again soon, for as long as patience lasts from `since`; then the person decides.

        None: the doubt begins now, however long the call took that left it.
        """
        if since is None or self.now() - since < self.patience:
            until = self.now() + outcome.ask_after
            changes = {
                **({"step_began_at": self.now()} if since is None else {}),
                **_waiting(ErrorCode.OUTCOME_UNKNOWN, outcome.reason, until),
                "status": TargetStatus.PUBLISHING,
                "step_shows": True,
                "checkpoint": outcome.checkpoint,
            }
            return Ending(AttemptOutcome.UNKNOWN, changes, ErrorCode.OUTCOME_UNKNOWN, outcome.reason)
        changes = {
            **NO_WAIT,
            **_error(ErrorCode.OUTCOME_UNKNOWN, f"{outcome.reason} {ASK_PERSON}", retryable=True),
            "step_shows": False,
            "status": TargetStatus.UNCONFIRMED,
            "next_attempt_at": None,
        }
        return Ending(AttemptOutcome.UNKNOWN, changes, ErrorCode.OUTCOME_UNKNOWN, outcome.reason, Slot.ENDED)

    def rejected(self, claim: Claim, outcome: Rejected, *, showed: bool) -> Ending:
        """By what the refusal asks of us; the post is certainly not out. `showed`: a step that shows it was sent."""
        failure = outcome.failure
        slot = Slot.ENDED if showed and failure.left else Slot.GIVEN_BACK
        match failure.kind:
            case FailureKind.WAIT:
                until = self.now() + (failure.retry_after or DEFAULT_WAIT)
                return self.deferred(
                    claim, failure.code, failure.message, until, checkpoint=outcome.checkpoint, slot=slot
                )
            case FailureKind.RETRY:
                return self._retried(claim, outcome, slot)
            case FailureKind.RECONNECT if self.account_after_refusal(claim) is AccountStatus.EXPIRING:
                return self._retried(claim, outcome, slot, account=AccountStatus.EXPIRING)
            case FailureKind.RECONNECT:
                changes = {
                    **NO_STEP,
                    **_waiting(ErrorCode.RECONNECT_REQUIRED, failure.message, None),
                    **_error(failure.code, failure.message, retryable=True),
                    "status": TargetStatus.BLOCKED,
                    "checkpoint": outcome.checkpoint,
                }
                return _failed(failure, changes, slot, is_charged=False, account=AccountStatus.EXPIRED)
            case FailureKind.PERMISSION | FailureKind.CONTENT:
                return self._given_up(claim, failure, slot)

    def account_after_refusal(self, claim: Claim) -> AccountStatus:
        """What an account is whose token was refused: one refresh is tried before it counts as lost."""
        may_mend = claim.can_refresh and not claim.failures
        return AccountStatus.EXPIRING if may_mend else AccountStatus.EXPIRED

    def deferred(
        self,
        claim: Claim,
        code: ErrorCode,
        message: str,
        until: datetime,
        *,
        checkpoint: Mapping[str, Any] | None = None,
        slot: Slot = Slot.GIVEN_BACK,
    ) -> Ending:
        """A limit or an open breaker: not now, and nobody's failure."""
        changes = {
            **_decided(claim),
            **_waiting(code, message, until),
            "status": waiting_status(claim),
            "checkpoint": claim.checkpoint if checkpoint is None else checkpoint,
        }
        # What stays PUBLISHING goes on as the same attempt; anything else is charged when it is claimed again.
        return Ending(AttemptOutcome.DEFERRED, changes, code, message, slot, is_charged=claim.step_shows)

    def handed_back(self, claim: Claim, checkpoint: Mapping[str, Any]) -> Ending:
        """The process stops before anything was shown: the next worker goes on at once."""
        changes = {**NO_STEP, "status": waiting_status(claim), "checkpoint": checkpoint, "next_attempt_at": self.now()}
        return Ending(AttemptOutcome.INTERRUPTED, changes, slot=Slot.GIVEN_BACK, is_charged=False)

    def reconnected(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The token that was refused is no longer the account's: at once again, with the new one."""
        return {**changes, **NO_WAIT, "status": TargetStatus.RETRYING, "next_attempt_at": self.now()}

    def _retried(self, claim: Claim, outcome: Rejected, slot: Slot, *, account: AccountStatus | None = None) -> Ending:
        failure, failures = outcome.failure, claim.failures + 1
        delay = self.retry.delay(failures, asked=failure.retry_after, random=self.random)
        if delay is None:
            return self._given_up(claim, failure, slot)
        until = self.now() + delay
        changes = {
            **NO_STEP,
            **_waiting(failure.code, failure.message, until),
            **_error(failure.code, failure.message, retryable=True),
            "status": TargetStatus.RETRYING,
            "checkpoint": outcome.checkpoint,
            "failure_count": failures,
        }
        return _failed(failure, changes, slot, account=account)

    def _given_up(self, claim: Claim, failure: Failure, slot: Slot) -> Ending:
        """What was made at the platform by then stays known: it is taken away there once the person goes on."""
        retryable = failure.kind is not FailureKind.CONTENT
        changes = {
            **NO_STEP,
            **NO_WAIT,
            **_error(failure.code, failure.message, retryable=retryable),
            "status": TargetStatus.FAILED,
            "next_attempt_at": None,
            "checkpoint": claim.checkpoint,
        }
        return _failed(failure, changes, slot)


def words_of(failure: Failure) -> str:
    """The platform's own words, with its own code, as the ledger keeps them."""
    return failure.message if failure.platform_code is None else f"{failure.message} ({failure.platform_code})"


def circuit_wait(refusal: CircuitOpen) -> timedelta:
    """For how long an open breaker turns calls away; one held by an operator is looked at again in a minute."""
    return timedelta(seconds=refusal.retry_after or 60)


def waiting_status(claim: Claim) -> TargetStatus:
    """Where a target stands that goes on later: undecided, tried before, or fresh."""
    if claim.step_shows:
        return TargetStatus.PUBLISHING
    return TargetStatus.RETRYING if claim.failures else TargetStatus.SCHEDULED


def _decided(claim: Claim) -> dict[str, Any]:
    """Nothing is on its way, unless an earlier step may have shown the post: that stays open until it is known."""
    return {} if claim.step_shows else NO_STEP


def _failed(failure: Failure, changes: dict[str, Any], slot: Slot, **more: Any) -> Ending:
    return Ending(AttemptOutcome.FAILED, changes, failure.code, words_of(failure), slot, **more)


def _waiting(code: ErrorCode, message: str, until: datetime | None) -> dict[str, Any]:
    return {"waiting_code": code, "waiting_message": message, "waiting_until": until, "next_attempt_at": until}


def _error(code: ErrorCode, message: str, *, retryable: bool) -> dict[str, Any]:
    return {"error_code": code, "error_message": message, "error_retryable": retryable}
