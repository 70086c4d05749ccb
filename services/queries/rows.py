"""Rows, or the same rows as JSON, to domain values: the one place that knows both shapes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from services.domain.accounts import Account, AccountStatus, Platform
from services.domain.errors import ErrorCode
from services.domain.options import options_from_json
from services.domain.posts import (
    Attempt,
    AttemptOutcome,
    LastError,
    Media,
    MediaKind,
    Post,
    PostStatus,
    PostTarget,
    TargetStatus,
    WaitingFor,
)
from services.domain.viewers import Role, User

Record = RowMapping | Mapping[str, Any]


def post_from(row: Record) -> Post:
    """A row of `posts`."""
    return Post(
        id=_key(row["id"]),
        user_id=_key(row["user_id"]),
        caption=row["caption"],
        link=row["link"],
        status=PostStatus(row["status"]),
        scheduled_at=_moment_or_none(row["scheduled_at"]),
        published_at=_moment_or_none(row["published_at"]),
        created_at=_moment(row["created_at"]),
        updated_at=_moment(row["updated_at"]),
        version=row["version"],
    )


def target_from(row: Record) -> PostTarget:
    """A row of `post_targets`."""
    platform = Platform(row["platform"])
    return PostTarget(
        id=_key(row["id"]),
        post_id=_key(row["post_id"]),
        account_id=_key(row["account_id"]),
        platform=platform,
        status=TargetStatus(row["status"]),
        caption=row["caption"],
        options=options_from_json(platform, row["options"]),
        attempt_count=row["attempt_count"],
        next_attempt_at=_moment_or_none(row["next_attempt_at"]),
        waiting_for=_waiting_from(row),
        last_error=_error_from(row),
        platform_post_id=row["platform_post_id"],
        permalink=row["permalink"],
        published_at=_moment_or_none(row["published_at"]),
    )


def media_from(row: Record) -> Media:
    """A row of `media`."""
    return Media(
        id=_key(row["id"]),
        post_id=_key(row["post_id"]),
        kind=MediaKind(row["kind"]),
        url=row["url"],
        position=row["position"],
        alt_text=row["alt_text"],
        width=row["width"],
        height=row["height"],
        duration_seconds=row["duration_seconds"],
        upload_id=None if row["upload_id"] is None else _key(row["upload_id"]),
    )


def attempt_from(row: Record) -> Attempt:
    """A row of `attempts`."""
    return Attempt(
        id=_key(row["id"]),
        target_id=_key(row["target_id"]),
        number=row["number"],
        step=row["step"],
        started_at=_moment(row["started_at"]),
        ended_at=_moment(row["ended_at"]),
        outcome=AttemptOutcome(row["outcome"]),
        code=None if row["code"] is None else ErrorCode(row["code"]),
        message=row["message"],
    )


def account_from(row: Record) -> Account:
    """A row of `accounts`, without its tokens."""
    return Account(
        id=_key(row["id"]),
        user_id=_key(row["user_id"]),
        platform=Platform(row["platform"]),
        external_id=row["external_id"],
        handle=row["handle"],
        display_name=row["display_name"],
        avatar_url=row["avatar_url"],
        status=AccountStatus(row["status"]),
        expires_at=_moment_or_none(row["expires_at"]),
        created_at=_moment(row["created_at"]),
        updated_at=_moment(row["updated_at"]),
        expiry_warning=row.get("expiry_warning"),  # older events have none
    )


def user_from(row: Record) -> User:
    """A row of `users`."""
    return User(_key(row["id"]), row["name"], Role(row["role"]), _moment(row["created_at"]))


def _waiting_from(row: Record) -> WaitingFor | None:
    if row["waiting_code"] is None:
        return None
    return WaitingFor(
        ErrorCode(row["waiting_code"]), row["waiting_message"] or "", _moment_or_none(row["waiting_until"])
    )


def _error_from(row: Record) -> LastError | None:
    if row["error_code"] is None:
        return None
    return LastError(ErrorCode(row["error_code"]), row["error_message"] or "", bool(row["error_retryable"]))


def _key(value: UUID | str) -> UUID:
    return UUID(value) if isinstance(value, str) else value


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _moment_or_none(value: datetime | str | None) -> datetime | None:
    return None if value is None else _moment(value)
