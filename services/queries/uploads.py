"""Reading and writing what people uploaded."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.media_types import MediaType
from services.domain.uploads import Upload
from services.models import UPLOADS


async def insert_upload(c: AsyncConnection, upload: Upload) -> None:
    """A new upload; its file is stored already."""
    await c.execute(
        insert(UPLOADS).values(
            id=upload.id,
            user_id=upload.user_id,
            kind=upload.kind,
            content_type=upload.type,
            path=upload.path,
            size_bytes=upload.size_bytes,
            width=upload.width,
            height=upload.height,
            duration_seconds=upload.duration_seconds,
            created_at=upload.created_at,
        )
    )


async def find_uploads(c: AsyncConnection, ids: Sequence[UUID], *, owner: UUID | None) -> dict[UUID, Upload]:
    """The uploads behind these ids, without those that are absent or somebody else's."""
    statement = select(UPLOADS).where(UPLOADS.c.id.in_(ids))
    if owner is not None:
        statement = statement.where(UPLOADS.c.user_id == owner)
    return {row.id: _upload_from(row._mapping) for row in await c.execute(statement)}


def _upload_from(row: RowMapping) -> Upload:
    return Upload(
        id=row["id"],
        user_id=row["user_id"],
        type=MediaType(row["content_type"]),
        path=row["path"],
        size_bytes=row["size_bytes"],
        width=row["width"],
        height=row["height"],
        duration_seconds=row["duration_seconds"],
        created_at=row["created_at"],
    )
