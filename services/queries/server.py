"""What the database says of itself: which migrations it has seen."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_WAS_MIGRATED = text("SELECT to_regclass('alembic_version') IS NOT NULL")
_REVISION = text("SELECT version_num FROM alembic_version")


async def find_revision(c: AsyncConnection) -> str | None:
    """The revision that the database stands at; None where it was never migrated to any."""
    if not await c.scalar(_WAS_MIGRATED):
        return None
    revision: str | None = await c.scalar(_REVISION)
    return revision
