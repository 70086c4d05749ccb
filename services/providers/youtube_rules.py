"""What Google's reasons mean; only where an error carries none does its HTTP status count."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from services.domain.errors import ErrorCode
from services.domain.limits import midnight_after
from services.domain.publishing import FailureKind
from services.providers.failures import (
    CONTENT,
    PERMISSION,
    RECONNECT,
    RETRY,
    START_ANEW,
    NotDone,
    Rule,
    not_done,
    wait_for,
)
from services.providers.shapes import object_in, objects_in, text_in
from services.providers.wire import Reply, told_wait

UNTIL_MIDNIGHT = Rule(FailureKind.WAIT, ErrorCode.RATE_LIMITED)
MINUTE = wait_for(timedelta(minutes=1))
DAY = wait_for(timedelta(hours=24))

REASONS: Mapping[str, Rule] = {
    # Limits.
    "quotaExceeded": UNTIL_MIDNIGHT,  # the project's day, shared by all who use our app
    "dailyLimitExceeded": UNTIL_MIDNIGHT,
    "rateLimitExceeded": MINUTE,
    "userRateLimitExceeded": MINUTE,
    "uploadLimitExceeded": DAY,  # the channel's
    # The token.
    "authError": RECONNECT,
    "authorizationRequired": RECONNECT,
    "invalid_grant": RECONNECT,  # revoked, six months idle, more than 50 tokens, 7 days in Testing
    # The channel or our app there.
    "youtubeSignupRequired": PERMISSION,
    "forbidden": PERMISSION,
    "insufficientPermissions": PERMISSION,
    "access_denied": PERMISSION,
    "forbiddenPrivacySetting": CONTENT,
    # The video.
    "invalidTitle": CONTENT,
    "invalidDescription": CONTENT,
    "invalidTags": CONTENT,
    "invalidCategoryId": CONTENT,
    "invalidPublishAt": CONTENT,
    "invalidVideoMetadata": CONTENT,
    "mediaBodyRequired": CONTENT,
    # Google, or what we sent: the session tells where to go on.
    "backendError": RETRY,
    "internalError": RETRY,
    "badRequest": RETRY,
    # Our app's credentials: an operator mends them.
    "invalid_client": RETRY,
    "unauthorized_client": RETRY,
    # How processing ends (failureReason, rejectionReason).
    "uploadAborted": START_ANEW,
}
"""Any other end of processing (codec, conversion, emptyFile, duplicate, length, copyright, …) is about the content."""

_BY_STATUS: Mapping[int, Rule] = {401: RECONNECT, 403: PERMISSION, 408: RETRY, 429: MINUTE}


def refusal_of(reply: Reply, *, now: datetime, secrets: tuple[str, ...]) -> NotDone:
    """A Google error as a failure: the Data API's shape, or the token endpoint's."""
    error = object_in(reply.data, "error")
    if error:
        reason, words = _reason_in(error), text_in(error.get("message"))
    else:
        reason, words = text_in(reply.data.get("error")), text_in(reply.data.get("error_description"))
    fallback = RETRY if reply.status >= 500 else _BY_STATUS.get(reply.status, CONTENT)
    rule = REASONS.get(reason or "", fallback)
    return not_done(
        rule,
        words or f"HTTP {reply.status} without an explanation",
        platform_code=reason or f"HTTP {reply.status}",
        told_wait=until_midnight(now) if rule is UNTIL_MIDNIGHT else told_wait(reply.headers, now),
        is_certain=reply.status < 500,
        secrets=secrets,
    )


def until_midnight(now: datetime) -> timedelta:
    """How long until Google's day ends."""
    return midnight_after(now) - now


def _reason_in(error: Mapping[str, Any]) -> str | None:
    return next((text_in(detail.get("reason")) for detail in objects_in(error.get("errors"))), None)
