"""`python -m app`: one command per thing a person or an init system wants of Crier."""

import asyncio
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import uvloop

from app.complaints import Complaint
from app.settings import read_settings
from services.domain.errors import CrierError
from services.domain.viewers import Scope

INTERRUPTED = 130

SETTINGS_ARE = "Settings come from the environment or a .env file; README.md lists them."


def _filled(_: click.Context, __: click.Parameter, text: str) -> str:
    if not text.strip():
        raise click.BadParameter("It must not be empty.")
    return text


@click.group(epilog=SETTINGS_ARE, no_args_is_help=True)
def cli() -> None:
    """Crier schedules social-media posts and publishes them at their time, once."""


@cli.group(no_args_is_help=True)
def keys() -> None:
    """Make, list and revoke API keys; encrypt stored tokens anew."""


@cli.command()
@click.option(
    "--end-with", type=int, metavar="PID", help="End, in good order, when the process that started this one ends."
)
def run(end_with: int | None) -> None:
    """Start everything in one process: PostgreSQL, Redis, API, worker and sandbox, with demo data.

    The API listens on HOST:PORT (127.0.0.1:8000), the sandbox on SANDBOX_PORT (8001); all data is kept in DATA_DIR
    (.crier). Ctrl-C ends it in good order, a second Ctrl-C at once.
    """
    from app.local import run_locally
    from app.shutdown import end_with_parent

    if end_with is not None:
        end_with_parent(end_with)
    sys.exit(run_locally(read_settings()))


@cli.command()
def serve() -> None:
    """Serve the API.

    It listens on HOST:PORT (127.0.0.1:8000). The database at DATABASE_URL must have been migrated. Where DATABASE_URL
    or REDIS_URL is not set, own servers are started in DATA_DIR, or joined where another process runs them there.
    SIGTERM ends it in good order.
    """
    from app.processes import serve_api

    sys.exit(serve_api(read_settings()))


@cli.command()
def worker() -> None:
    """Publish what is due; any number of workers run side by side.

    It needs the same DATABASE_URL, REDIS_URL and SECRET_KEYS (or the same DATA_DIR) as the API. With WORKER_PORT set it
    tells its health and metrics there. SIGTERM ends it in good order: what it cannot finish it hands back.
    """
    from app.processes import run_worker

    sys.exit(run_worker(read_settings()))


@cli.command()
def sandbox() -> None:
    """Serve the three platforms as a strict local stand-in, with a page that shows what was published.

    It listens on 127.0.0.1:SANDBOX_PORT (8001) and keeps what was published in DATA_DIR.
    """
    from app.processes import serve_sandbox

    sys.exit(serve_sandbox(read_settings()))


@cli.command()
@click.argument("revision", default="head")
@click.option("--down", is_flag=True, help="Go to an older revision too, though tables or columns are lost with it.")
@click.option("--sql", is_flag=True, help="Only print the SQL; REVISION may be FROM:TO.")
def migrate(revision: str, *, down: bool, sql: bool) -> None:
    """Bring the database to a revision, the newest by default.

    REVISION is head, base, or one such as 0001. Safe to run from several places at once, and again where nothing is to
    do.
    """
    from app.migrating import render_sql

    if sql:
        click.echo(render_sql(revision if ":" in revision else f"base:{revision}"))
        return
    from app.processes import migrate_only

    moved = migrate_only(read_settings(), revision, may_lose_data=down)
    click.echo("The database was migrated." if moved else "There was nothing to migrate.")


@cli.command()
def restored() -> None:
    """After a restored backup: leave to people what was due since it was made, and empty Redis of what is newer."""
    from app.restoring import follow_restore

    click.echo(f"{_run(follow_restore(read_settings()))} posts wait for their people to say whether they are out.")


@cli.command()
@click.option("--check", is_flag=True, help="Only say whether the snapshot is up to date.")
def schema(*, check: bool) -> None:
    """Write the GraphQL schema's snapshot, schema/schema.graphql."""
    from schema.build import print_schema_text
    from schema.snapshot import SNAPSHOT, find_changes

    text = print_schema_text()
    if not check:
        SNAPSHOT.write_text(text)
        return
    changes = find_changes(SNAPSHOT.read_text(), text, today=datetime.now(UTC).date())
    if changes:
        click.echo("\n".join(map(str, changes)), err=True)
        raise click.BadParameter("schema/schema.graphql is not what the code says: run `make schema` and review it.")


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path), default="artefacts/reference")
def docs(folder: Path) -> None:
    """Write the GraphQL contract as one page to read.

    It is index.html in FOLDER, artefacts/reference by default, which is made if it is not there.
    """
    from schema.build import build_schema
    from schema.reference import render_reference

    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text(render_reference(build_schema()._schema))
    click.echo(page)


@keys.command("create")
@click.argument("user", callback=_filled)
@click.option(
    "--scope", type=click.Choice(["read", "write", "admin"]), default="write", show_default=True, help="What it may do"
)
@click.option("--name", default="cli", show_default=True, callback=_filled, help="What the key is for")
@click.option("--days", type=click.IntRange(1, 36_500), help="Days until it ends; default: never")
def create_key(user: str, scope: str, name: str, days: int | None) -> None:
    """Make an API key and print it, this once.

    USER is a subject, who is made if there is none.
    """
    from app.keys import create

    wanted = Scope[scope.upper()]
    click.echo(_run(create(read_settings(), subject=user, scope=wanted, name=name, days=days)))


@keys.command("list")
def list_keys() -> None:
    """Show all keys, without their secrets."""
    from app.keys import describe

    for line in _run(describe(read_settings())):
        click.echo(line)


@keys.command("revoke")
@click.argument("key")
def revoke_key(key: str) -> None:
    """End a key; it stops working within seconds.

    KEY is the key's id, or the key itself.
    """
    from app.keys import revoke

    text = key.removeprefix("crier_").split("_")[0]
    try:
        key_id = UUID(hex=text)
    except ValueError:
        raise click.BadParameter("That is neither a key nor its id.") from None
    if not _run(revoke(read_settings(), key_id)):
        raise click.BadParameter("There is no such key, or it was revoked before.")


@keys.command("rotate")
def rotate_secrets() -> None:
    """Encrypt all stored platform tokens with the first of SECRET_KEYS."""
    from app.keys import rotate

    click.echo(f"{_run(rotate(read_settings()))} tokens encrypted anew.")


def main() -> None:
    """The entry: what a person can mend is one line on standard error, never a traceback."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (Complaint, CrierError) as error:
        click.echo(f"crier: {error}", err=True)
        sys.exit(2)
    except click.Abort:  # Ctrl-C before anything listened for signals
        sys.exit(INTERRUPTED)


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)
