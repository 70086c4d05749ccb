"""What the three OAuth clients share: how a refusal is told, and how tokens are dated."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.domain.accounts import Tokens
from services.domain.errors import ErrorCode
from services.domain.publishing import FailureKind
from services.providers.base import AuthorizationFailed
from services.providers.failures import NotDone


def grant_refused(refusal: NotDone) -> AuthorizationFailed:
    """The end of an exchange: a refused code is mended by another round, whatever the platform calls it."""
    failure = refusal.failure
    if failure.kind is FailureKind.CONTENT:
        failure = replace(failure, kind=FailureKind.RECONNECT, code=ErrorCode.RECONNECT_REQUIRED)
    return AuthorizationFailed(failure)


def refresh_refused(refusal: NotDone) -> AuthorizationFailed:
    """The end of a refresh: the grant is dead only where the platform says just that; all else may pass."""
    failure = refusal.failure
    if failure.kind in (FailureKind.CONTENT, FailureKind.PERMISSION):
        failure = replace(failure, kind=FailureKind.RETRY, code=ErrorCode.PLATFORM_ERROR)
    return AuthorizationFailed(failure)


def dated_tokens(answer: Mapping[str, Any], *, now: datetime, refresh: str | None = None) -> Tokens:
    """The tokens of an answer with `access_token` and `expires_in` (seconds; absent or 0: they do not end)."""
    seconds = int(answer.get("expires_in") or 0)
    return Tokens(
        access=str(answer["access_token"]),
        refresh=answer.get("refresh_token") or refresh,
        expires_at=now + timedelta(seconds=seconds) if seconds > 0 else None,
        scopes=_scopes_in(answer.get("scope") or answer.get("permissions") or ""),
    )


def _scopes_in(told: str | list[str]) -> tuple[str, ...]:
    return tuple(told.replace(",", " ").split() if isinstance(told, str) else told)
