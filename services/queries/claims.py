"""How a worker comes by its work: due targets are locked (`turns`), judged, and claimed under a lease.

A claim raises the target's `lease`, and every later write of that worker carries it (`leases`): a worker that lost its
lease to a cancel, an edit or a rescue changes nothing any more.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    Integer,
    Interval,
    Row,
    Select,
    Uuid,
    any_,
    bindparam,
    case,
    cast,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.accounts import Platform
from services.domain.options import TargetOptions, options_from_json
from services.domain.posts import Media, TargetStatus
from services.models import ACCOUNTS, MEDIA, POSTS, TARGETS
from services.queries.rows import media_from
from services.queries.turns import (
    AWAITS_TOKEN,
    IS_FREE,
    NOT_OF_USERS,
    PUBLISHABLE,
    account_is_idle,
    is_behind_none,
    is_first,
    without,
)


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


async def claim_targets(
    c: AsyncConnection, ids: Collection[UUID], *, worker_id: UUID, lease_for: timedelta
) -> list[Claim]:
    """Take these locked targets: PUBLISHING, under a new lease; an attempt is charged unless one is under way.

    What was chosen in a snapshot may not be its account's next any more, or never have been, where somebody else held a
    lock on an earlier post: such a one is left for its turn.
    """
    if not ids:
        return []
    holes = {"ids": list(ids), "worker": worker_id, "lease_for": lease_for}
    return [_claim_from(row) for row in await c.execute(_claiming(), holes)]


async def claim_early(
    c: AsyncConnection, *, worker_id: UUID, lease_for: timedelta, limit: int, without_users: Collection[UUID] = ()
) -> list[Claim]:
    """Take targets whose slow work may begin. They stay SCHEDULED, under a lease: see `services.publishing.preparing`.

    An account that cannot publish now is not asked for anything: its targets' own time will tell.
    """
    holes = {
        "worker": worker_id,
        "lease_for": lease_for,
        "most": limit,
        **without(users=without_users),
    }
    claims = [_claim_from(row) for row in await c.execute(_claiming_early(), holes)]
    # What is done now is the beginning of the attempt that its own time will charge.
    return [replace(claim, attempt=claim.attempt + 1) for claim in claims]


async def set_aside(c: AsyncConnection, changes: Mapping[UUID, Mapping[str, Any]]) -> None:
    """Give locked targets that are not claimed after all their new values."""
    for target_id, new in changes.items():
        await c.execute(update(TARGETS).where(TARGETS.c.id == target_id).values(prepare_at=None, **new))


async def set_all_aside(c: AsyncConnection, times: Mapping[UUID, datetime | None], changes: Mapping[str, Any]) -> None:
    """The same for many at once: new values for all, and for each the time until which it waits."""
    if not times:
        return
    moments = cast(list(times.values()), ARRAY(TARGETS.c.next_attempt_at.type))
    of = func.unnest(cast(list(times), ARRAY(Uuid)), moments).table_valued("id", "at").render_derived(name="times")
    put_off = {"next_attempt_at": of.c.at, "waiting_until": of.c.at, "prepare_at": None}
    await c.execute(update(TARGETS).where(TARGETS.c.id == of.c.id).values(**{**changes, **put_off}))


# Both are built once, with holes for what differs: to build one takes longer than to run it.


@cache
def _claiming() -> Select[Any]:
    resumes = TARGETS.c.status == TargetStatus.PUBLISHING
    claimed = (
        update(TARGETS)
        .where(
            TARGETS.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))), account_is_idle(), is_first(), is_behind_none()
        )
        .values(
            status=TargetStatus.PUBLISHING,
            **_LEASED,
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
    return _with_content(claimed)


@cache
def _claiming_early() -> Select[Any]:
    is_usable = ACCOUNTS.c.status.in_(PUBLISHABLE) & ACCOUNTS.c.access_token.is_not(None)
    ready = (
        select(TARGETS.c.id)
        .join(ACCOUNTS, ACCOUNTS.c.id == TARGETS.c.account_id)
        .where(
            TARGETS.c.prepare_at <= func.now(),
            TARGETS.c.next_attempt_at > func.now(),
            TARGETS.c.status == TargetStatus.SCHEDULED,
            IS_FREE,
            NOT_OF_USERS,
            is_usable,
            AWAITS_TOKEN.is_(False),
        )
        .order_by(TARGETS.c.prepare_at, TARGETS.c.id)
        .limit(bindparam("most", type_=Integer()))
        .with_for_update(of=TARGETS, skip_locked=True)
        .cte("ready")
    )
    claimed = update(TARGETS).where(TARGETS.c.id == ready.c.id).values(**_LEASED).returning(TARGETS).cte("claimed")
    return _with_content(claimed)


_LEASED: Mapping[str, Any] = {
    "lease": TARGETS.c.lease + 1,
    "lease_until": func.now() + bindparam("lease_for", type_=Interval()),
    "leased_by": bindparam("worker", type_=Uuid()),
    "prepare_at": None,
}


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
        first_claimed_at=row.first_claimed_at or row.calendar_at,
        checkpoint=row.checkpoint,
        step=row.step,
        step_began_at=row.step_began_at,
        can_refresh=row.can_refresh,
        step_shows=row.step_shows,
        trace_context=row.trace_context,
    )
