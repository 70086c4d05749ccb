"""Migrations run while the release before them still serves: they only add, and hold no table for long."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app import migrating, revisions
from app.migrating import migrate_database, render_sql
from app.revisions import newest_revision

ROOT = Path(__file__).parent.parent.parent
RELEASED = "base"
"""The newest revision of the last release: what comes after it runs on tables that are full and in use. There has been
no release yet, so all migrations together are a new database's."""

WITHOUT_WAITING = '''
"""An index on a table that is in use."""

from alembic import op

revision = "9000"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_users_name", "users", postgresql_concurrently=True, if_exists=True)
        op.create_index("ix_users_name", "users", ["name"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index("ix_users_name", table_name="users")
'''

ADVISORY_LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND datname = current_database()
"""
"""Of this database alone: tests beside this one hold locks in theirs."""


def squawk(sql: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the linter says of some SQL."""
    path = folder / "migration.sql"
    path.write_text(sql)
    program = Path(sys.executable).parent / "squawk"
    return subprocess.run(
        [program, "--config", ROOT / ".squawk.toml", "--reporter", "gcc", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_no_migration_stops_the_release_before_it(tmp_path: Path) -> None:
    """Squawk finds nothing in what was not released yet."""
    done = squawk(render_sql(f"{RELEASED}:head"), tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE posts RENAME COLUMN caption TO words;", "renaming-column"),
        ("ALTER TABLE posts DROP COLUMN link;", "ban-drop-column"),
        ("ALTER TABLE posts ALTER COLUMN link SET NOT NULL;", "adding-not-nullable-field"),
        ("ALTER TABLE posts ADD COLUMN mood text NOT NULL;", "adding-required-field"),
        ("CREATE INDEX ix_mood ON posts (caption);", "require-concurrent-index-creation"),
        ("ALTER TABLE posts ADD CONSTRAINT c CHECK (version > 0);", "constraint-missing-not-valid"),
    ],
)
def test_the_linter_sees_what_would(tmp_path: Path, statement: str, rule: str) -> None:
    """Each kind of step that the running release would trip over."""
    done = squawk(f"SET lock_timeout = '5s';\nSET statement_timeout = '15min';\n{statement}", tmp_path)
    assert done.returncode != 0
    assert rule in done.stdout


def test_the_sql_is_what_is_run() -> None:
    """With its limits, from where one asks to where one asks."""
    whole, part = render_sql(), render_sql("0001:0002")
    assert "CREATE TABLE posts" in whole
    assert "CREATE TABLE posts" not in part
    assert "ix_post_targets_due" in part
    for sql in (whole, part):
        assert "lock_timeout" in sql


async def test_an_index_can_be_made_while_others_write(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration may leave the transaction for it; those before it are kept, and nobody else migrates meanwhile. What
    a try that was broken off left, an index that nobody can use, is made anew."""
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    later = tmp_path / "migrations" / "versions" / "9000_later.py"
    newest_before = newest_revision()
    later.write_text(WITHOUT_WAITING.format(before=newest_before))
    for module in (migrating, revisions):
        monkeypatch.setattr(module, "MIGRATIONS", tmp_path / "migrations")

    engine = create_async_engine(empty_database_url)
    await migrate_database(empty_database_url, revision=newest_before)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE INDEX ix_users_name ON users (name)"))
        await connection.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_users_name'::regclass")
        )

    await migrate_database(empty_database_url)
    async with engine.connect() as connection:
        valid = await connection.scalar(
            text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_users_name'::regclass")
        )
        version = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        locks = await connection.scalar(text(ADVISORY_LOCKS))
    await engine.dispose()
    assert (valid, version, locks) == (True, "9000", 0)
