"""How a worker comes by its work: due targets are locked, judged, and claimed under a lease.

A claim raises the target's `lease`, and every later write of that worker carries it (`leases`): a worker that lost its
lease to a cancel, an edit or a rescue changes nothing any more.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Double, Row, Select, case, cast, func, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.accounts import AccountStatus, Platform
from services.domain.options import TargetOptions, options_from_json
from services.domain.posts import Media, TargetStatus
from services.models import ACCOUNTS, MEDIA, POSTS, TARGETS
from services.queries.rows import media_from

PUBLISHABLE = [status for status in AccountStatus if status.can_publish]


@dataclass(frozen=True, slots=True)
class DueTarget:
    """A due target, locked with its post until the claiming transaction ends."""

    id: UUID
    post_id: UUID
    account_id: UUID
    user_id: UUID
    platform: Platform
    due_at: datetime
    late_by: float
    """Seconds from then until somebody looked, by the database's clock."""
    was_begun: bool
    """Whether an earlier claim may have left something at the platform."""
    is_in_doubt: bool
    """Whether people may see it already: then the platform is asked, whatever became of the account."""
    account_can_publish: bool
    has_token: bool
    awaits_token: bool
    """Whether the access token has ended and a refresh will bring another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A target that this worker holds, with all that its platform's client needs; tokens are still sealed."""

    target_id: UUID
    lease: int
    post_id: UUID
    account_id: UUID
    user_id: UUID
    platform: Platform
    external_account_id: str
    sealed_token: bytes = field(repr=False)
    caption: str
    link: str | None
    media: tuple[Media, ...]
    options: TargetOptions | None
    scheduled_at: datetime
    attempt: int
    failures: int
    first_claimed_at: datetime
    checkpoint: Mapping[str, Any]
    step: str | None
    step_began_at: datetime | None
    can_refresh: bool
    """Whether the account has a refresh token, so that a dead access token is not the end."""
    trace_context: str | None = None
    """Where the request that scheduled it is found in traces."""
    step_shows: bool
    """Whether the last step may have shown the post: then the platform is asked before anything is done."""


async def lock_due(c: AsyncConnection, *, limit: int) -> list[DueTarget]:
    """The targets that have been due the longest and that nobody else is looking at; their posts are locked too."""
    statement = (
        select(
            TARGETS.c.id,
            TARGETS.c.post_id,
            TARGETS.c.account_id,
            TARGETS.c.user_id,
            TARGETS.c.platform,
            TARGETS.c.next_attempt_at,
            cast(func.extract("epoch", func.clock_timestamp() - TARGETS.c.next_attempt_at), Double).label("late_by"),
            (TARGETS.c.status == TargetStatus.PUBLISHING).label("was_begun"),
            TARGETS.c.step_shows,
            ACCOUNTS.c.status.in_(PUBLISHABLE).label("account_can_publish"),
            ACCOUNTS.c.access_token.is_not(None).label("has_token"),
            (ACCOUNTS.c.refresh_token.is_not(None) & (ACCOUNTS.c.expires_at <= func.now())).is_(True).label("awaits"),
        )
        .join(POSTS, POSTS.c.id == TARGETS.c.post_id)
        .join(ACCOUNTS, ACCOUNTS.c.id == TARGETS.c.account_id)
        .where(TARGETS.c.next_attempt_at <= func.now())
        .order_by(TARGETS.c.next_attempt_at, TARGETS.c.id)
        .limit(limit)
        .with_for_update(of=[TARGETS, POSTS], skip_locked=True)
    )
    return [
        DueTarget(
            id=row.id,
            post_id=row.post_id,
            account_id=row.account_id,
            user_id=row.user_id,
            platform=Platform(row.platform),
            due_at=row.next_attempt_at,
            late_by=row.late_by,
            was_begun=row.was_begun,
            is_in_doubt=row.step_shows,
            account_can_publish=row.account_can_publish,
            has_token=row.has_token,
            awaits_token=row.awaits,
        )
        for row in await c.execute(statement)
    ]


async def lock_lost(c: AsyncConnection, account_ids: Collection[UUID]) -> set[UUID]:
    """Those of the accounts that cannot publish, held: who connects one meanwhile waits, and frees what we block."""
    if not account_ids:
        return set()
    lost = ACCOUNTS.c.id.in_(account_ids) & ACCOUNTS.c.status.not_in(PUBLISHABLE)
    statement = select(ACCOUNTS.c.id).where(lost).order_by(ACCOUNTS.c.id).with_for_update(read=True)
    return set((await c.execute(statement)).scalars())


async def claim_targets(
    c: AsyncConnection, ids: Collection[UUID], *, worker_id: UUID, lease_for: timedelta
) -> list[Claim]:
    """Take these locked targets: PUBLISHING, under a new lease; an attempt is charged unless one is under way."""
    if not ids:
        return []
    resumes = TARGETS.c.status == TargetStatus.PUBLISHING
    claimed = (
        update(TARGETS)
        .where(TARGETS.c.id.in_(ids))
        .values(
            status=TargetStatus.PUBLISHING,
            lease=TARGETS.c.lease + 1,
            lease_until=func.now() + lease_for,
            leased_by=worker_id,
            attempt_count=TARGETS.c.attempt_count + case((resumes, 0), else_=1),
            first_claimed_at=func.coalesce(TARGETS.c.first_claimed_at, func.now()),
            next_attempt_at=None,
            waiting_code=None,
            waiting_message=None,
            waiting_until=None,
        )
        .returning(TARGETS)
        .cte("claimed")
    )
    return [_claim_from(row) for row in await c.execute(_with_content(claimed))]


async def set_aside(c: AsyncConnection, changes: Mapping[UUID, Mapping[str, Any]]) -> None:
    """Give locked targets that are not claimed after all their new values."""
    for target_id, new in changes.items():
        await c.execute(update(TARGETS).where(TARGETS.c.id == target_id).values(**new))


async def seconds_until_due(c: AsyncConnection) -> float | None:
    """How long until the next target is due, by the database's clock; 0 or less: one is due. None: none ever."""
    left = func.extract("epoch", func.min(TARGETS.c.next_attempt_at) - func.clock_timestamp())
    seconds: float | None = (await c.execute(select(cast(left, Double)))).scalar_one()
    return seconds


def _with_content(claimed: CTE) -> Select[Any]:
    media = func.jsonb_agg(aggregate_order_by(func.to_jsonb(MEDIA.table_valued()), MEDIA.c.position))
    return (
        select(
            claimed,
            POSTS.c.caption.label("post_caption"),
            POSTS.c.link,
            ACCOUNTS.c.external_id,
            ACCOUNTS.c.access_token,
            ACCOUNTS.c.refresh_token.is_not(None).label("can_refresh"),
            select(media).where(MEDIA.c.post_id == claimed.c.post_id).scalar_subquery().label("media"),
        )
        .join(POSTS, POSTS.c.id == claimed.c.post_id)
        .join(ACCOUNTS, ACCOUNTS.c.id == claimed.c.account_id)
    )


def _claim_from(row: Row[Any]) -> Claim:
    platform = Platform(row.platform)
    return Claim(
        target_id=row.id,
        lease=row.lease,
        post_id=row.post_id,
        account_id=row.account_id,
        user_id=row.user_id,
        platform=platform,
        external_account_id=row.external_id,
        sealed_token=row.access_token,
        caption=row.post_caption if row.caption is None else row.caption,
        link=row.link,
        media=tuple(media_from(medium) for medium in row.media or ()),
        options=options_from_json(platform, row.options),
        scheduled_at=row.calendar_at,
        attempt=row.attempt_count,
        failures=row.failure_count,
        first_claimed_at=row.first_claimed_at,
        checkpoint=row.checkpoint,
        step=row.step,
        step_began_at=row.step_began_at,
        can_refresh=row.can_refresh,
        step_shows=row.step_shows,
        trace_context=row.trace_context,
    )
