"""What the database says of itself: its clock, and which migrations it has seen."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_REVISION = text("SELECT version_num FROM alembic_version")
_TIME = text("SELECT now()")


async def find_revision(c: AsyncConnection) -> str | None:
    """The revision that the database stands at; None where it was never migrated to any."""
    revision: str | None = await c.scalar(_REVISION)
    return revision


async def read_time(c: AsyncConnection) -> datetime:
    """The database's clock, which all processes share."""
    time: datetime = (await c.execute(_TIME)).scalar_one()
    return time
