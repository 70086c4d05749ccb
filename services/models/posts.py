"""Posts, their media and their targets. The post row is the lock of all three: every write takes it first."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Computed, DateTime, ForeignKey, Index, Integer, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.domain.accounts import Platform
from services.domain.posts import MediaKind, PostStatus, TargetStatus
from services.models.base import Base, Created, Key, Moment, one_of

UNSCHEDULED = "timestamptz '9999-12-31 00:00:00+00'"
"""Where a post without a time stands in the calendar: after everything."""


class PostRow(Base):
    """One post; `status` is the roll-up of its targets, kept in the transaction that changes them."""

    __tablename__ = "posts"
    __table_args__ = (
        one_of("status", PostStatus),
        Index("ix_posts_user_id_calendar_at_id", "user_id", "calendar_at", "id"),
        Index("ix_posts_user_id_created_at_id", "user_id", "created_at", "id"),
    )

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    caption: Mapped[str]
    link: Mapped[str | None]
    status: Mapped[str]
    scheduled_at: Mapped[Moment | None]
    calendar_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), Computed(f"coalesce(scheduled_at, {UNSCHEDULED})", persisted=True)
    )
    published_at: Mapped[Moment | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Created]
    version: Mapped[int] = mapped_column(Integer, server_default="1")


class MediaRow(Base):
    """One medium of a post, in order."""

    __tablename__ = "media"
    __table_args__ = (UniqueConstraint("post_id", "position"), one_of("kind", MediaKind))

    id: Mapped[Key]
    post_id: Mapped[UUID] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(SmallInteger)
    kind: Mapped[str]
    url: Mapped[str]
    alt_text: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    duration_seconds: Mapped[float | None]
    upload_id: Mapped[UUID | None] = mapped_column(ForeignKey("uploads.id", ondelete="SET NULL"), index=True)


class PostTargetRow(Base):
    """One post on its way to one account; due when `next_attempt_at <= now()`. `lease` fences every worker's write.

    `prepare_at` is when its slow work may begin; null where there is none, or where it is done or under way.
    """

    __tablename__ = "post_targets"
    __table_args__ = (
        UniqueConstraint("post_id", "account_id"),
        one_of("platform", Platform),
        one_of("status", TargetStatus),
        Index("ix_post_targets_account_id_calendar_at_post_id", "account_id", "calendar_at", "post_id"),
        Index("ix_post_targets_due", "next_attempt_at", "id", postgresql_where=text("next_attempt_at IS NOT NULL")),
        Index("ix_post_targets_early", "prepare_at", "id", postgresql_where=text("prepare_at IS NOT NULL")),
        Index(
            "ix_post_targets_waiting",
            "account_id",
            "calendar_at",
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
        Index("ix_post_targets_leased", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
        Index(
            "ix_post_targets_open",
            "status",
            "error_code",
            postgresql_where=text("status NOT IN ('PUBLISHED', 'CANCELED', 'DRAFT')"),
        ),
    )

    id: Mapped[Key]
    post_id: Mapped[UUID] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    user_id: Mapped[UUID]
    platform: Mapped[str]
    position: Mapped[int] = mapped_column(SmallInteger)
    calendar_at: Mapped[Moment]
    status: Mapped[str]
    caption: Mapped[str | None]
    options: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    next_attempt_at: Mapped[Moment | None]
    prepare_at: Mapped[Moment | None]
    attempt_count: Mapped[int] = mapped_column(Integer, server_default="0")
    failure_count: Mapped[int] = mapped_column(Integer, server_default="0")
    lease: Mapped[int] = mapped_column(BigInteger, server_default="0")
    lease_until: Mapped[Moment | None]
    leased_by: Mapped[UUID | None]
    checkpoint: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    step: Mapped[str | None]
    step_began_at: Mapped[Moment | None]
    step_shows: Mapped[bool] = mapped_column(server_default="false")
    first_claimed_at: Mapped[Moment | None]
    trace_context: Mapped[str | None]

    waiting_code: Mapped[str | None]
    waiting_message: Mapped[str | None]
    waiting_until: Mapped[Moment | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    error_retryable: Mapped[bool | None]

    platform_post_id: Mapped[str | None]
    permalink: Mapped[str | None]
    published_at: Mapped[Moment | None]
