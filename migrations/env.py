"""Alembic's entry: runs the migrations on the connection it is handed, or on the URL in its configuration."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from services.models import Base

LOCK = 0x43524945
"""One advisory lock for all: of several processes that start together, one migrates and the others wait."""


def run(connection: Connection) -> None:
    """Bring the schema to the asked revision in one transaction."""
    options: dict[str, Any] = {"target_metadata": Base.metadata, "compare_type": True, "compare_server_default": True}
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.run_migrations()


async def run_by_url(url: str) -> None:
    """Open a connection of our own, migrate, and close it."""
    engine = create_async_engine(url, poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
            await connection.commit()
    finally:
        await engine.dispose()


handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    asyncio.run(run_by_url(context.config.get_main_option("sqlalchemy.url") or ""))
