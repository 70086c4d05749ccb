"""Brings a database to a revision, from wherever it stands."""

from io import StringIO

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.revisions import BASE, MIGRATIONS, MigrationRefused, list_revisions
from services.domain.errors import Unavailable


async def migrate_database(url: str, *, revision: str = "head", may_lose_data: bool = False) -> bool:
    """Up (or down) to `revision`; False where nothing was to do. Several processes may try: one does it.

    Raises Unavailable where the database does not let us in, and MigrationRefused for a revision that nobody knows,
    for a way down unless it `may_lose_data`, and where the database refuses a step.
    """
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        connection = await engine.connect()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
        raise Unavailable(f"The database does not let us in ({type(error).__name__}).") from error
    try:
        moved = await connection.run_sync(lambda sync: _move(sync, revision, may_lose_data=may_lose_data))
        await connection.commit()
        return moved
    except (DBAPIError, CommandError) as error:
        raise MigrationRefused(f"the migration stopped ({_reason(error)}): mend that, then run it again") from error
    finally:
        await connection.close()


def render_sql(revisions: str = "base:head") -> str:
    """The SQL between two revisions, such as `0002:head`, as it would be run; nothing is. Raises MigrationRefused."""
    for name in revisions.split(":"):
        if name != "head":
            _check_known(name)
    written = StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(MIGRATIONS))
    command.upgrade(config, revisions, sql=True)
    return written.getvalue()


def _move(connection: Connection, revision: str, *, may_lose_data: bool) -> bool:
    known = list_revisions()
    wanted = known[-1] if revision == "head" else revision
    found = MigrationContext.configure(connection).get_current_revision() or BASE
    _check_known(wanted)
    _check_known(found)
    if wanted == found:
        return False
    is_down = known.index(wanted) < known.index(found)
    if is_down and not may_lose_data:
        raise MigrationRefused(
            f"from {found} down to {wanted} tables or columns go, with what is in them: say --down if you mean it"
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    (command.downgrade if is_down else command.upgrade)(config, wanted)
    return True


def _reason(error: DBAPIError | CommandError) -> str:
    """The database's own words, without the statement: that is in the migration's file."""
    told = str((error.orig and error.orig.__cause__) or error.orig) if isinstance(error, DBAPIError) else str(error)
    return told.partition("\n")[0]


def _check_known(revision: str) -> None:
    known = list_revisions()
    if revision not in known:
        raise MigrationRefused(f"there is no revision {revision} here, only {', '.join(known)}")
