"""How tests look at what PostgreSQL and the pool do."""

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from services.backends.database import Database


async def backends_of(database: Database, name: str, condition: str = "true") -> int:
    """How many server processes serve clients of this application name."""
    async with database.connect() as connection:
        count = await connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity"
                f" WHERE datname = current_database() AND application_name = :name AND {condition}"
            ),
            {"name": name},
        )
    return int(count)


async def eventually(condition: Callable[[], Any], *, within: float = 5.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(within):
        while not (await found if asyncio.iscoroutine(found := condition()) else found):
            await asyncio.sleep(0.01)
