"""From a platform's words to ours: what a refusal means, and whether it leaves a doubt."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from services.domain.errors import ErrorCode
from services.domain.publishing import Advanced, Checkpoint, Failure, FailureKind, Rejected, Unknown

LONGEST_MESSAGE = 500
ASK_AGAIN = timedelta(seconds=5)
REFUSAL = "refusal"
"""The checkpoint's key for what a platform said when it left us in doubt."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one of a platform's codes means for us."""

    kind: FailureKind
    code: ErrorCode
    wait: timedelta | None = None
    """How long to stay away where the answer itself does not say."""
    anew: bool = False
    """Whether what was prepared is lost, so that the next attempt begins from nothing."""
    is_doubtful: bool = False
    """Whether the platform is known to say so of what it has done."""


RETRY = Rule(FailureKind.RETRY, ErrorCode.PLATFORM_ERROR)
DOUBTFUL = Rule(FailureKind.RETRY, ErrorCode.PLATFORM_ERROR, is_doubtful=True)
START_ANEW = Rule(FailureKind.RETRY, ErrorCode.PLATFORM_ERROR, anew=True)
RECONNECT = Rule(FailureKind.RECONNECT, ErrorCode.RECONNECT_REQUIRED)
PERMISSION = Rule(FailureKind.PERMISSION, ErrorCode.PERMISSION_DENIED)
CONTENT = Rule(FailureKind.CONTENT, ErrorCode.CONTENT_REJECTED, anew=True)
UNREACHABLE = Rule(FailureKind.CONTENT, ErrorCode.MEDIA_UNREACHABLE, anew=True)


def wait_for(wait: timedelta) -> Rule:
    """A limit that is known to last about so long."""
    return Rule(FailureKind.WAIT, ErrorCode.RATE_LIMITED, wait=wait)


@dataclass(frozen=True, slots=True)
class NotDone:
    """A call that did not give what it was made for."""

    failure: Failure
    is_certain: bool = True
    """False where the platform may have done it all the same."""
    was_answered: bool = True
    """False where no answer came at all."""
    anew: bool = False

    @property
    def is_missing(self) -> bool:
        """Whether the platform says that the object is not there (or not there yet: fresh ones may be read late)."""
        return self.failure.platform_code == "100/33"

    def rejected(self, checkpoint: Checkpoint) -> Rejected:
        """It is not out; a later attempt begins at the checkpoint, or from nothing where that is lost."""
        return Rejected(self.failure, {} if self.anew else dict(checkpoint))

    def unknown(self, checkpoint: Checkpoint) -> Unknown:
        """It may be out; what the platform answered is kept for when it turns out that it is not."""
        if not self.was_answered:
            return Unknown(self.failure.message, checkpoint)
        return Unknown(self.failure.message, {**checkpoint, REFUSAL: _to_json(self.failure)}, refusal=self.failure.kind)

    def judged(self, checkpoint: Checkpoint) -> Rejected | Unknown:
        """The end of a step that shows the post: refused for certain, or in doubt.

        What only asks to come again later may be said of what is done already: a limit is counted beside the work.
        """
        is_passing = self.failure.kind in (FailureKind.WAIT, FailureKind.RETRY) and not self.anew
        is_doubtful = not self.is_certain or (is_passing and self.failure.left)
        return self.unknown(checkpoint) if is_doubtful else self.rejected(checkpoint)

    def ask_later(self, checkpoint: Checkpoint) -> Unknown:
        """A question that got no answer says nothing: ask again, and count nothing."""
        return Unknown(self.failure.message, checkpoint, self.failure.retry_after or ASK_AGAIN)


def not_out(checkpoint: Checkpoint, progress: Checkpoint) -> Advanced | Rejected:
    """Asking has shown that it is not out: go on from `progress`, or say the refusal that came with the doubt.

    A refusal that only asks for another try is not repeated: asking took longer than any first wait.
    """
    refusal = _from_json(checkpoint[REFUSAL]) if REFUSAL in checkpoint else None
    if refusal is None or refusal.kind is FailureKind.RETRY:
        return Advanced(progress)
    return Rejected(refusal, progress)


def refused_as(checkpoint: Checkpoint) -> FailureKind | None:
    """Of what kind the refusal was that came with the doubt; None where there was no answer."""
    return FailureKind(checkpoint[REFUSAL]["kind"]) if REFUSAL in checkpoint else None


def not_done(
    rule: Rule,
    message: str,
    *,
    platform_code: str | None = None,
    told_wait: timedelta | None = None,
    is_certain: bool = True,
    secrets: Iterable[str] = (),
) -> NotDone:
    """A refusal under a rule; `told_wait` is what the platform itself says, `secrets` what may not be said."""
    failure = Failure(
        kind=rule.kind,
        code=rule.code,
        message=redact(message, secrets)[:LONGEST_MESSAGE],
        platform_code=platform_code,
        retry_after=told_wait or rule.wait,
    )
    return NotDone(failure, is_certain=is_certain and not rule.is_doubtful, anew=rule.anew)


def held_back(message: str, wait: timedelta) -> NotDone:
    """A call that was not made, because the platform would have refused it."""
    return NotDone(Failure(FailureKind.WAIT, ErrorCode.RATE_LIMITED, message, retry_after=wait, left=False))


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without any of the secrets; Meta quotes malformed tokens in its messages."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[secret]")
    return text


def _to_json(failure: Failure) -> Checkpoint:
    return {
        "kind": failure.kind.value,
        "code": failure.code.value,
        "message": failure.message,
        "platform_code": failure.platform_code,
        "retry_after": None if failure.retry_after is None else failure.retry_after.total_seconds(),
    }


def _from_json(stored: Checkpoint) -> Failure:
    return Failure(
        kind=FailureKind(stored["kind"]),
        code=ErrorCode(stored["code"]),
        message=stored["message"],
        platform_code=stored["platform_code"],
        retry_after=None if stored["retry_after"] is None else timedelta(seconds=stored["retry_after"]),
    )
