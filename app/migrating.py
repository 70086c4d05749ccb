"""Brings a database to the newest revision, from wherever it stands."""

from io import StringIO
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from services.domain.errors import Unavailable

MIGRATIONS = Path(__file__).parent.parent / "migrations"


def newest_revision() -> str:
    """The revision that this code expects."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""


async def migrate_database(url: str, *, revision: str = "head") -> bool:
    """Up (or down) to `revision`; False where nothing was to do. Several processes may try: one does it.

    Raises Unavailable where the database does not let us in.
    """
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        connection = await engine.connect()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
        raise Unavailable(f"The database does not let us in ({type(error).__name__}).") from error
    try:
        if revision == "head" and await connection.run_sync(_revision) == newest_revision():
            return False
        await connection.run_sync(lambda sync: _move(sync, revision))
        await connection.commit()
        return True
    finally:
        await connection.close()


def render_sql(revisions: str = "base:head") -> str:
    """The SQL between two revisions, such as `0002:head`, as it would be run; nothing is."""
    written = StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(MIGRATIONS))
    command.upgrade(config, revisions, sql=True)
    return written.getvalue()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _move(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    go = command.downgrade if revision == "base" or revision.startswith("-") else command.upgrade
    go(config, revision)
