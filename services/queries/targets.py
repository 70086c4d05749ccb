"""Reading targets."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.posts import PostTarget
from services.models import TARGETS
from services.queries.rows import target_from


async def load_targets(c: AsyncConnection, post_ids: Sequence[UUID]) -> dict[UUID, tuple[PostTarget, ...]]:
    """Each post's targets, in the order in which their accounts were picked."""
    statement = select(TARGETS).where(TARGETS.c.post_id.in_(post_ids)).order_by(TARGETS.c.position)
    found: dict[UUID, tuple[PostTarget, ...]] = dict.fromkeys(post_ids, ())
    for row in await c.execute(statement):
        found[row.post_id] += (target_from(row._mapping),)
    return found


async def find_targets(c: AsyncConnection, ids: Sequence[UUID], *, owner: UUID | None) -> dict[UUID, PostTarget]:
    """The targets behind these ids, without those that are absent or somebody else's."""
    statement = select(TARGETS).where(TARGETS.c.id.in_(ids))
    if owner is not None:
        statement = statement.where(TARGETS.c.user_id == owner)
    return {row.id: target_from(row._mapping) for row in await c.execute(statement)}
