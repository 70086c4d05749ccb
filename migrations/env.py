"""Alembic's entry: runs the migrations on the connection it is handed, or on the URL in its configuration."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from services.models import Base

OPTIONS: dict[str, Any] = {"target_metadata": Base.metadata, "compare_type": True, "compare_server_default": True}

LIMITS = ("SET lock_timeout = '5s'", "SET statement_timeout = '15min'")
"""Whoever waits for a table's lock makes all others wait behind it: rather fail, and be run again in a quiet moment."""

LOCK = 0x43524945
"""One advisory lock for all: of several processes that start together, one migrates and the others wait."""


def run(connection: Connection) -> None:
    """Bring the schema to the asked revision, one transaction for all that can be in one.

    The lock is the session's, not the transaction's: a migration that makes an index while others write has to leave
    the transaction for that (`op.get_context().autocommit_block()`), and no other process may join it meanwhile.
    """
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
    connection.commit()
    try:
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            for limit in LIMITS:
                connection.execute(text(limit))
            context.run_migrations()
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
        connection.commit()


def write_sql() -> None:
    """Write the SQL instead of running it, for whoever reads or judges it first."""
    context.configure(dialect_name="postgresql", literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        for limit in LIMITS:
            context.execute(limit)
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
if context.is_offline_mode():
    write_sql()
elif handed is not None:
    run(handed)
else:
    asyncio.run(run_by_url(context.config.get_main_option("sqlalchemy.url") or ""))
