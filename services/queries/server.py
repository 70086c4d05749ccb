"""What the database says of itself: which migrations it has seen."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_REVISION = text("SELECT version_num FROM alembic_version")


async def find_revision(c: AsyncConnection) -> str | None:
    """The revision that the database stands at; None where it was never migrated to any."""
    revision: str | None = await c.scalar(_REVISION)
    return revision
