"""The commands, as a shell runs them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli import cli
from schema.snapshot import SNAPSHOT

ROOT = Path(__file__).parent.parent.parent

Crier = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def crier(database: AsyncEngine, database_url: str, redis_url: str, tmp_path: Path) -> Crier:
    """Runs a command on the worker's servers."""
    del database  # emptied afterwards

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "DATA_DIR": str(tmp_path),
            **settings,
        }
        command = [sys.executable, "-m", "app", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_help_names_every_command(crier: Crier) -> None:
    """Whoever knows nothing finds everything."""
    told = crier("--help").stdout
    assert all(name in told for name in ("run", "serve", "worker", "migrate", "schema", "docs", "keys", "sandbox"))


def test_docs_are_one_page_where_it_is_wanted(crier: Crier, tmp_path: Path) -> None:
    """The folder is made; the command says what it wrote, and can be run again."""
    for _ in range(2):
        told = crier("docs", str(tmp_path / "made" / "here"))
        assert told.returncode == 0, told.stderr
        page = Path(told.stdout.strip())
        assert page == tmp_path / "made" / "here" / "index.html"
        assert 'id="Mutations-schedulePost"' in page.read_text()


def test_a_key_is_made_listed_and_revoked_once(crier: Crier) -> None:
    """The secret is shown at its making and never again."""
    made = crier("keys", "create", "alice", "--scope", "read", "--name", "laptop", "--days", "3")
    token = made.stdout.strip()
    assert token.startswith("crier_"), made.stderr

    listed = crier("keys", "list").stdout
    assert "alice" in listed
    assert "laptop" in listed
    assert token.rsplit("_", 1)[1] not in listed

    refused = crier("keys", "create", "alice", "--scope", "admin")
    assert (refused.returncode, "no admin" in refused.stderr) == (2, True)

    assert crier("keys", "revoke", token).returncode == 0
    assert "revoked" in crier("keys", "list").stdout
    again = crier("keys", "revoke", token)
    assert again.returncode == 2
    assert "no such key" in again.stderr


def test_a_bad_setting_is_one_line(crier: Crier) -> None:
    """No traceback, exit code 2, and nothing was started."""
    failed = crier("serve", REQUEST_TIMEOUT="soon")
    assert failed.returncode == 2
    assert failed.stderr.startswith("crier: REQUEST_TIMEOUT")
    assert failed.stderr.count("\n") == 1


def test_a_database_that_is_not_there_is_one_line(crier: Crier) -> None:
    """Migrating nothing ends soon and says why."""
    failed = crier("migrate", DATABASE_URL="postgresql://crier@127.0.0.1:1/crier")
    assert failed.returncode != 0
    assert "Traceback" not in failed.stderr, failed.stderr


def test_migrations_do_not_go_through_pgbouncer(crier: Crier, empty_database_url: str) -> None:
    """Their lock is a session's, of which there is none: the database is left as it is."""
    refused = crier("migrate", DATABASE_URL=empty_database_url, DB_THROUGH_PGBOUNCER="true")
    assert (refused.returncode, "PgBouncer" in refused.stderr) == (2, True)
    assert "no revision" in crier("serve", DATABASE_URL=empty_database_url).stderr


def test_a_database_that_was_never_migrated_is_one_line(crier: Crier, empty_database_url: str) -> None:
    """Nothing is begun on tables that are not there; going down is never an accident."""
    failed = crier("serve", DATABASE_URL=empty_database_url)
    assert failed.returncode == 2
    assert failed.stderr.startswith("crier: the database stands at no revision")
    assert "python -m app migrate" in failed.stderr

    restored = crier("restored", DATABASE_URL=empty_database_url)
    assert (restored.returncode, restored.stderr) == (2, failed.stderr)

    assert crier("migrate", DATABASE_URL=empty_database_url).stdout == "The database was migrated.\n"
    kept = crier("migrate", "base", DATABASE_URL=empty_database_url)
    assert (kept.returncode, "--down" in kept.stderr) == (2, True)


def test_servers_of_our_own_are_migrated_by_whoever_comes_first(crier: Crier, data_dir: Path) -> None:
    """Nobody else would do it."""
    made = crier("keys", "create", "alice", DATABASE_URL="", REDIS_URL="", DATA_DIR=str(data_dir))
    assert made.stdout.startswith("crier_"), made.stderr


@pytest.mark.parametrize(
    "arguments", [("alice", "--days", "0"), (" ",), ("alice", "--name", ""), ("alice", "--scope", "owner")]
)
def test_a_key_that_makes_no_sense_is_not_made(arguments: tuple[str, ...]) -> None:
    """The option is named; nothing is connected to."""
    refused = CliRunner().invoke(cli, ["keys", "create", *arguments])
    assert refused.exit_code == 2
    assert "Invalid value" in refused.output


def test_rotation_without_anything_to_rotate_says_so(crier: Crier) -> None:
    """No account, no token."""
    assert crier("keys", "rotate", SECRET_KEYS=f"{'new' * 11},{'old' * 11}").stdout == "0 tokens encrypted anew.\n"


def test_schema_check_says_what_each_change_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A contract that once had a field more, and a snapshot that is up to date."""
    now = SNAPSHOT.read_text()
    older = tmp_path / "schema.graphql"
    older.write_text(now.replace("type PageInfo {", "type PageInfo {\n  total: Int\n"))
    monkeypatch.setattr("schema.snapshot.SNAPSHOT", older)

    told = CliRunner().invoke(cli, ["schema", "--check"])
    assert told.exit_code == 2
    assert "BREAKING: Field PageInfo.total was removed." in told.stderr

    older.write_text(now)
    assert CliRunner().invoke(cli, ["schema", "--check"]).exit_code == 0
