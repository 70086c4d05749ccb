"""Reading the media of posts."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.posts import Media
from services.models import MEDIA, POSTS
from services.queries.rows import media_from


async def load_media(c: AsyncConnection, post_ids: Sequence[UUID]) -> dict[UUID, tuple[Media, ...]]:
    """Each post's media, in order."""
    statement = select(MEDIA).where(MEDIA.c.post_id.in_(post_ids)).order_by(MEDIA.c.position)
    found: dict[UUID, tuple[Media, ...]] = dict.fromkeys(post_ids, ())
    for row in await c.execute(statement):
        found[row.post_id] += (media_from(row._mapping),)
    return found


async def find_media(c: AsyncConnection, ids: Sequence[UUID], *, owner: UUID | None) -> dict[UUID, Media]:
    """The media behind these ids, without those that are absent or somebody else's."""
    statement = select(MEDIA).where(MEDIA.c.id.in_(ids))
    if owner is not None:
        statement = statement.join(POSTS, POSTS.c.id == MEDIA.c.post_id).where(POSTS.c.user_id == owner)
    return {row.id: media_from(row._mapping) for row in await c.execute(statement)}
