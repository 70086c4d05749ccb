"""Writing posts: what a person's own changes do to the rows. Workers' writes are in `claims`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, case, cast, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.backends.traces import current_trace
from services.domain.options import TargetOptions, options_to_json
from services.domain.posts import Media, Post, PostTarget, TargetStatus
from services.models import MEDIA, POSTS, TARGETS

UNPREPARED: dict[str, Any] = {
    "checkpoint": {},
    "step": None,
    "step_began_at": None,
    "step_shows": False,
    "first_claimed_at": None,
    "prepare_at": None,
    "lease_until": None,
    "leased_by": None,
    "waiting_code": None,
    "waiting_message": None,
    "waiting_until": None,
}
"""A target of which nothing is on its way: what was prepared is forgotten. Raising `lease` fences workers off."""

UNSCHEDULED = datetime(9999, 12, 31, tzinfo=UTC)
"""Where a post without a time stands in a calendar; the posts table computes the same."""

DUE_SOON = "crier_due"
"""The channel on which workers hear that something is due before they meant to look."""


async def insert_post(c: AsyncConnection, post: Post) -> None:
    """A new post row; its status is settled once its targets stand."""
    await c.execute(
        insert(POSTS).values(
            id=post.id,
            user_id=post.user_id,
            caption=post.caption,
            link=post.link,
            status=post.status,
            scheduled_at=post.scheduled_at,
            version=0,
        )
    )


async def insert_targets(
    c: AsyncConnection, post: Post, targets: Sequence[PostTarget], *, prepare_at: datetime | None
) -> None:
    """New targets, in the order given; their slow work, if any, begins at `prepare_at`."""
    if not targets:
        return
    rows = [
        {
            "id": target.id,
            "post_id": post.id,
            "account_id": target.account_id,
            "user_id": post.user_id,
            "platform": target.platform,
            "position": position,
            "calendar_at": _calendar(post.scheduled_at),
            "status": target.status,
            "caption": target.caption,
            "options": options_to_json(target.options),
            "next_attempt_at": target.next_attempt_at,
            "trace_context": current_trace(),
            "prepare_at": prepare_at,
        }
        for position, target in enumerate(targets)
    ]
    await c.execute(insert(TARGETS), rows)


async def replace_media(c: AsyncConnection, post_id: UUID, media: Iterable[Media]) -> None:
    """The post's media are these and no others."""
    await c.execute(delete(MEDIA).where(MEDIA.c.post_id == post_id))
    rows = [
        {
            "id": medium.id,
            "post_id": post_id,
            "position": medium.position,
            "kind": medium.kind,
            "url": medium.url,
            "alt_text": medium.alt_text,
            "width": medium.width,
            "height": medium.height,
            "duration_seconds": medium.duration_seconds,
            "upload_id": medium.upload_id,
        }
        for medium in media
    ]
    if rows:
        await c.execute(insert(MEDIA), rows)


async def update_targets(c: AsyncConnection, ids: Collection[UUID], **values: Any) -> None:
    """Set `values` on these targets; whoever held one no longer does."""
    if ids:
        raised: dict[str, Any] = {"lease": TARGETS.c.lease + 1}
        if current_trace() is not None:
            raised["trace_context"] = current_trace()
        await c.execute(update(TARGETS).where(TARGETS.c.id.in_(ids)).values(**raised, **values))


async def prepare_anew(c: AsyncConnection, ids: Collection[UUID], *, prepare_at: datetime | None) -> None:
    """Forget what was prepared of targets whose content has changed, whoever held them; their times stay."""
    forgotten = {name: UNPREPARED[name] for name in ("checkpoint", "step", "step_began_at", "lease_until", "leased_by")}
    is_scheduled = TARGETS.c.status == TargetStatus.SCHEDULED
    await update_targets(
        c, ids, **forgotten, prepare_at=case((is_scheduled, cast(prepare_at, TARGETS.c.prepare_at.type)))
    )


async def update_variants(c: AsyncConnection, variants: Mapping[UUID, tuple[str | None, TargetOptions | None]]) -> None:
    """Set each target's own caption and options."""
    for target_id, (caption, options) in variants.items():
        values = {"caption": caption, "options": options_to_json(options)}
        await c.execute(update(TARGETS).where(TARGETS.c.id == target_id).values(**values))


async def order_targets(c: AsyncConnection, post_id: UUID, account_ids: Sequence[UUID]) -> None:
    """Put the targets into the order in which their accounts are named."""
    place = func.array_position(literal(list(account_ids), ARRAY(Uuid)), TARGETS.c.account_id)
    await c.execute(update(TARGETS).where(TARGETS.c.post_id == post_id).values(position=place))


async def move_targets(c: AsyncConnection, post_id: UUID, scheduled_at: datetime | None) -> None:
    """Keep the targets' place in their accounts' calendars equal to the post's."""
    await c.execute(update(TARGETS).where(TARGETS.c.post_id == post_id).values(calendar_at=_calendar(scheduled_at)))


async def delete_targets(c: AsyncConnection, ids: Collection[UUID]) -> None:
    """These targets are no longer wanted."""
    if ids:
        await c.execute(delete(TARGETS).where(TARGETS.c.id.in_(ids)))


async def delete_post(c: AsyncConnection, post_id: UUID) -> None:
    """The post is gone with everything of it that Crier knows; what is on the platforms stays there."""
    await c.execute(delete(POSTS).where(POSTS.c.id == post_id))


async def wake_workers(c: AsyncConnection) -> None:
    """At commit, tell the workers that something is due sooner than they may think."""
    await c.execute(select(func.pg_notify(DUE_SOON, "")))


def _calendar(scheduled_at: datetime | None) -> datetime:
    return UNSCHEDULED if scheduled_at is None else scheduled_at
