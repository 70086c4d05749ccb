"""The migrations lead to what the models say, and back."""

import asyncio
import os
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.migrating import migrate_database
from app.revisions import MIGRATIONS, MigrationRefused, check_revision, list_revisions, newest_revision
from services.domain.ids import new_id
from services.models import Base

WAITING = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE NOT granted AND locktype = 'relation' AND datname = current_database()
"""


async def differences(url: str) -> list[object]:
    """What Alembic would still change."""

    def compare(connection: Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))

    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = await connection.run_sync(compare)
    await engine.dispose()
    return found


async def table_names(url: str) -> set[str]:
    """The tables that are there."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
    await engine.dispose()
    return found


@pytest.mark.filterwarnings("ignore:Computed default on")
async def test_up_down_and_up_again_ends_at_the_models(empty_database_url: str) -> None:
    """Each way works, and models and migrations never differ."""
    assert await migrate_database(empty_database_url)
    assert await differences(empty_database_url) == []

    with pytest.raises(MigrationRefused, match="--down"):
        await migrate_database(empty_database_url, revision="base")
    await migrate_database(empty_database_url, revision="0001", may_lose_data=True)
    await migrate_database(empty_database_url, revision="base", may_lose_data=True)
    assert await table_names(empty_database_url) == {"alembic_version"}

    await migrate_database(empty_database_url)
    assert await differences(empty_database_url) == []
    assert not await migrate_database(empty_database_url)


async def test_a_revision_that_nobody_knows_is_refused(empty_database_url: str) -> None:
    """And whoever mistyped it is told which there are."""
    with pytest.raises(MigrationRefused, match="no revision 0815 here, only base, 0001"):
        await migrate_database(empty_database_url, revision="0815")


def test_code_runs_on_its_own_revision_or_a_newer_one() -> None:
    """While a release is rolled out, the database is ahead of the code that still runs."""
    check_revision(newest_revision())
    check_revision("a revision of the next release")
    for older in (None, "0001"):
        with pytest.raises(MigrationRefused, match="python -m app migrate"):
            check_revision(older)


async def test_processes_that_migrate_at_once_do_it_once(empty_database_url: str) -> None:
    """One does the work, the others wait and find it done."""
    environment = {**os.environ, "DATABASE_URL": empty_database_url, "REDIS_URL": "redis://127.0.0.1:1"}
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", "app", "migrate", env=environment) for _ in range(3)
    ]
    assert await asyncio.gather(*(process.wait() for process in processes)) == [0, 0, 0]
    engine = create_async_engine(empty_database_url)
    async with engine.connect() as connection:
        versions = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
    await engine.dispose()
    assert versions == [newest_revision()]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("CREATE TABLE users (id int)", 'relation "users" already exists'),
        ("CREATE TABLE alembic_version (version_num text)", "no revision 0815 here"),
        (
            "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('0001')",
            "more than one",
        ),
        ("CREATE TABLE alembic_version (other text)", "version_num"),
    ],
)
async def test_a_database_in_a_state_that_nobody_foresaw_is_left_in_it(
    empty_database_url: str, state: str, words: str
) -> None:
    """Its own words say why; nothing was added."""
    engine = create_async_engine(empty_database_url)
    async with engine.begin() as connection:
        for statement in state.split(";"):
            await connection.execute(text(statement))
        if "version_num" in state:
            await connection.execute(text("INSERT INTO alembic_version VALUES ('0815')"))
    before = await table_names(empty_database_url)
    with pytest.raises(MigrationRefused, match=words):
        await migrate_database(empty_database_url)
    assert await table_names(empty_database_url) == before
    await engine.dispose()


async def test_a_migration_that_is_killed_on_its_way_is_run_again(empty_database_url: str) -> None:
    """Where a table is in use it gives up in time and says so; killed while it waits, it leaves no step half done and
    no lock behind."""
    await migrate_database(empty_database_url, revision="0002")
    environment = {**os.environ, "DATABASE_URL": empty_database_url, "REDIS_URL": "redis://127.0.0.1:1"}
    command = (sys.executable, "-m", "app", "migrate")
    engine = create_async_engine(empty_database_url)
    async with engine.begin() as user:
        await user.execute(text("LOCK TABLE post_targets IN ACCESS SHARE MODE"))
        patient = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
        told = (await patient.communicate())[1].decode()
        assert (patient.returncode, told.count("\n"), "lock timeout" in told) == (2, 1, True), told

        killed = await asyncio.create_subprocess_exec(*command, env=environment)
        async with asyncio.timeout(30):
            while not await user.scalar(text(WAITING)):
                await asyncio.sleep(0.01)
        killed.kill()
        await killed.wait()
    await engine.dispose()

    assert await migrate_database(empty_database_url)
    assert await differences(empty_database_url) == []


async def test_the_largest_tables_can_be_partitioned_by_month(empty_database_url: str) -> None:
    """As deploy/capacity.md says: by their ids, with every key and index they have."""
    await migrate_database(empty_database_url)
    engine = create_async_engine(empty_database_url)
    async with engine.begin() as connection:
        for name in ("posts", "attempts"):
            months = f"CREATE TABLE {name}_by_month (LIKE {name} INCLUDING ALL) PARTITION BY RANGE (id)"
            await connection.execute(text(months))
    await engine.dispose()


async def test_a_line_of_the_ledger_is_never_changed(database: AsyncEngine) -> None:
    """PostgreSQL itself refuses."""
    ids = {name: new_id() for name in ("user", "account", "post", "target", "attempt")}
    rows = [
        "INSERT INTO users (id, name, role) VALUES (:user, 'A', 'PERSON')",
        "INSERT INTO accounts (id, user_id, platform, external_id, handle, display_name, status)"
        " VALUES (:account, :user, 'FACEBOOK', '1', 'a', 'A', 'CONNECTED')",
        "INSERT INTO posts (id, user_id, caption, status) VALUES (:post, :user, 'x', 'DRAFT')",
        "INSERT INTO post_targets (id, post_id, account_id, user_id, platform, position, calendar_at, status)"
        " VALUES (:target, :post, :account, :user, 'FACEBOOK', 0, now(), 'DRAFT')",
        "INSERT INTO attempts (id, target_id, number, step, started_at, ended_at, outcome)"
        " VALUES (:attempt, :target, 1, 'create_post', now(), now(), 'SUCCEEDED')",
    ]
    async with database.begin() as connection:
        for row in rows:
            await connection.execute(text(row), {k: v for k, v in ids.items() if f":{k}" in row})
    async with database.connect() as connection:
        with pytest.raises(DBAPIError, match="attempts is append-only"):
            await connection.execute(text("UPDATE attempts SET outcome = 'FAILED'"))


def test_files_are_named_in_the_order_of_their_revisions() -> None:
    """So that a process which never migrates knows them without Alembic."""
    newest_first = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    assert list_revisions() == ["base", *reversed([script.revision for script in newest_first])]
