"""Every way Crier says no, and the one catalogue of codes.

    CrierError                 carries a code, a message fit for strangers, and when to try again
    ├── Unauthenticated        no credentials, or bad ones
    │   └── Unproven           ones that nobody gave out: a guess, or a mistake
    ├── Forbidden              known, but not allowed
    ├── NotFound               absent, or somebody else's: the two look the same
    ├── RateLimited            a quota or budget is used up; says until when
    ├── CircuitOpen            a platform is failing; not even tried
    ├── TimedOut               the operation's time is over
    ├── Overloaded             too many wait already
    ├── Unavailable            a part Crier needs is away
    ├── AuthorizationFailed    a platform gave no tokens (services.providers.base)
    └── Refused                what the person can mend; one or more `UserError`s

Anything else that is raised is a surprise: it is logged whole and answered as INTERNAL, without a word of its text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ErrorCode(StrEnum):
    """What went wrong, in one word a program can act on."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    PARSE_FAILED = "PARSE_FAILED"
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    DOCUMENT_NOT_TRUSTED = "DOCUMENT_NOT_TRUSTED"
    BAD_REQUEST = "BAD_REQUEST"
    CONFLICT = "CONFLICT"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    ALREADY_PUBLISHING = "ALREADY_PUBLISHING"
    NOT_POSSIBLE_NOW = "NOT_POSSIBLE_NOW"
    RATE_LIMITED = "RATE_LIMITED"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    TIMEOUT = "TIMEOUT"
    OVERLOADED = "OVERLOADED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"

    SCHEDULED_IN_PAST = "SCHEDULED_IN_PAST"
    CAPTION_TOO_LONG = "CAPTION_TOO_LONG"
    CAPTION_REQUIRED = "CAPTION_REQUIRED"
    TITLE_REQUIRED = "TITLE_REQUIRED"
    MEDIA_REQUIRED = "MEDIA_REQUIRED"
    TOO_MANY_MEDIA = "TOO_MANY_MEDIA"
    MEDIA_NOT_SUPPORTED = "MEDIA_NOT_SUPPORTED"
    ACCOUNT_REQUIRED = "ACCOUNT_REQUIRED"
    ACCOUNT_NOT_CONNECTED = "ACCOUNT_NOT_CONNECTED"

    PLATFORM_ERROR = "PLATFORM_ERROR"
    CONTENT_REJECTED = "CONTENT_REJECTED"
    MEDIA_UNREACHABLE = "MEDIA_UNREACHABLE"
    RECONNECT_REQUIRED = "RECONNECT_REQUIRED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    MISSED = "MISSED"


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """What a code promises: its meaning, and whether the same call may succeed later."""

    meaning: str
    retryable: bool = False


CATALOGUE: dict[ErrorCode, ErrorFacts] = {
    ErrorCode.UNAUTHENTICATED: ErrorFacts("No valid API key or token came with the request."),
    ErrorCode.FORBIDDEN: ErrorFacts("The viewer is known but may not do this."),
    ErrorCode.NOT_FOUND: ErrorFacts("There is no such object among the viewer's own."),
    ErrorCode.VALIDATION_FAILED: ErrorFacts("The document or its input does not fit the schema or its rules."),
    ErrorCode.PARSE_FAILED: ErrorFacts("The document is not GraphQL."),
    ErrorCode.QUERY_TOO_COMPLEX: ErrorFacts("The document asks for more than one request may cost."),
    ErrorCode.PERSISTED_QUERY_NOT_FOUND: ErrorFacts("No document with this hash is known: send hash and text once."),
    ErrorCode.DOCUMENT_NOT_TRUSTED: ErrorFacts("This server runs only documents that its operator names."),
    ErrorCode.BAD_REQUEST: ErrorFacts("The HTTP request or WebSocket message is malformed."),
    ErrorCode.CONFLICT: ErrorFacts("The object has changed since it was read: read it again."),
    ErrorCode.IDEMPOTENCY_MISMATCH: ErrorFacts("This idempotency key was used before with other input."),
    ErrorCode.ALREADY_PUBLISHING: ErrorFacts("The post is on its way to the platform and can no longer be changed."),
    ErrorCode.NOT_POSSIBLE_NOW: ErrorFacts("The object's present state does not allow this."),
    ErrorCode.RATE_LIMITED: ErrorFacts("A quota or budget is used up until the stated time.", retryable=True),
    ErrorCode.CIRCUIT_OPEN: ErrorFacts("The platform is failing; calls rest until the stated time.", retryable=True),
    ErrorCode.TIMEOUT: ErrorFacts("The operation did not finish in its time.", retryable=True),
    ErrorCode.OVERLOADED: ErrorFacts("Too many requests wait already.", retryable=True),
    ErrorCode.UNAVAILABLE: ErrorFacts("A part that is needed cannot be reached.", retryable=True),
    ErrorCode.INTERNAL: ErrorFacts("A mistake of ours; the correlation id finds it in the logs."),
    ErrorCode.SCHEDULED_IN_PAST: ErrorFacts("The time of the post is already over."),
    ErrorCode.CAPTION_TOO_LONG: ErrorFacts("The caption exceeds what the platform allows."),
    ErrorCode.CAPTION_REQUIRED: ErrorFacts("A post without media needs a caption or a link."),
    ErrorCode.TITLE_REQUIRED: ErrorFacts("A YouTube video needs a title."),
    ErrorCode.MEDIA_REQUIRED: ErrorFacts("This kind of post needs media."),
    ErrorCode.TOO_MANY_MEDIA: ErrorFacts("More media than this kind of post can hold."),
    ErrorCode.MEDIA_NOT_SUPPORTED: ErrorFacts("The platform does not take this medium in this kind of post."),
    ErrorCode.ACCOUNT_REQUIRED: ErrorFacts("A post needs at least one account."),
    ErrorCode.ACCOUNT_NOT_CONNECTED: ErrorFacts("The account has to be connected again first."),
    ErrorCode.PLATFORM_ERROR: ErrorFacts("The platform failed or answered what nobody expects.", retryable=True),
    ErrorCode.CONTENT_REJECTED: ErrorFacts("The platform refuses this content; its own words say why."),
    ErrorCode.MEDIA_UNREACHABLE: ErrorFacts("The platform could not fetch a medium from its URL."),
    ErrorCode.RECONNECT_REQUIRED: ErrorFacts("The platform no longer accepts the account's token."),
    ErrorCode.PERMISSION_DENIED: ErrorFacts("The account lacks a permission that this needs."),
    ErrorCode.OUTCOME_UNKNOWN: ErrorFacts("Nobody can tell whether the post went out; the person decides."),
    ErrorCode.MISSED: ErrorFacts("The post's time passed too long ago to send it unasked."),
}


@dataclass(frozen=True, slots=True)
class UserError:
    """One thing in a mutation's input that the person can mend; `field` is a path such as `media.0.url`."""

    code: ErrorCode
    message: str
    field: str | None = None


class CrierError(Exception):
    """A failure with a code and a message that any client may see."""

    code: ErrorCode = ErrorCode.INTERNAL

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        """Seconds until the same call may succeed; None where nobody can say."""


class Unauthenticated(CrierError):
    """No credentials came, or none that hold."""

    code = ErrorCode.UNAUTHENTICATED


class Unproven(Unauthenticated):
    """A credential that nobody gave out: a guess, or a mistake. One that has ended was given out once."""


class Forbidden(CrierError):
    """The viewer is known but may not do this."""

    code = ErrorCode.FORBIDDEN


class NotFound(CrierError):
    """Absent or somebody else's."""

    code = ErrorCode.NOT_FOUND


class RateLimited(CrierError):
    """A quota or budget is used up; `reset_at` says when a place is free again."""

    code = ErrorCode.RATE_LIMITED

    def __init__(self, message: str, *, retry_after: float, reset_at: datetime | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.reset_at = reset_at


class CircuitOpen(CrierError):
    """The breaker of a platform is open; the call was not made."""

    code = ErrorCode.CIRCUIT_OPEN


class TimedOut(CrierError):
    """The operation's time is over."""

    code = ErrorCode.TIMEOUT


class Overloaded(CrierError):
    """Too many wait already for a bounded resource."""

    code = ErrorCode.OVERLOADED


class Unavailable(CrierError):
    """A part that is needed cannot be reached."""

    code = ErrorCode.UNAVAILABLE


class Refused(CrierError):
    """A request whose input the person can mend; nothing was changed."""

    code = ErrorCode.VALIDATION_FAILED

    def __init__(self, errors: Sequence[UserError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = tuple(errors)


def refuse(code: ErrorCode, message: str, field: str | None = None) -> Refused:
    """A refusal for one reason."""
    return Refused([UserError(code, message, field)])
