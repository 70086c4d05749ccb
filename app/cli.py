"""`python -m app`: one command per thing a person or an init system wants of Crier."""

import asyncio
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
import uvloop

from app.embedded import EmbeddedServersUnavailable
from app.serving import CannotListen
from app.settings import SettingsError, read_settings
from services.domain.errors import CrierError
from services.domain.viewers import Role, Scope

app = typer.Typer(
    help="Crier schedules social-media posts and publishes them at their time, once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Make, list and revoke API keys; encrypt stored tokens anew.", no_args_is_help=True)
app.add_typer(keys, name="keys")


@app.command()
def run() -> None:
    """Start everything in one process: PostgreSQL, Redis, API, worker and sandbox, with demo data."""
    from app.local import run_locally

    raise typer.Exit(run_locally(read_settings()))


@app.command()
def serve() -> None:
    """Serve the API. Expects a migrated database; starts embedded servers where no URL is set."""
    from app.processes import serve_api

    raise typer.Exit(serve_api(read_settings()))


@app.command()
def worker() -> None:
    """Publish what is due. Any number of workers run side by side."""
    from app.processes import run_worker

    raise typer.Exit(run_worker(read_settings()))


@app.command()
def sandbox() -> None:
    """Serve the three platforms as a strict local stand-in, with a page that shows what was published."""
    from app.processes import serve_sandbox

    raise typer.Exit(serve_sandbox(read_settings()))


@app.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="head, base, or a revision such as 0001")] = "head",
    sql: Annotated[bool, typer.Option("--sql", help="Only print the SQL; REVISION may be FROM:TO.")] = False,
) -> None:
    """Bring the database to a revision, the newest by default."""
    from app.migrating import render_sql

    if sql:
        typer.echo(render_sql(revision if ":" in revision else f"base:{revision}"))
        return
    from app.processes import migrate_only

    raise typer.Exit(migrate_only(read_settings(), revision))


@app.command()
def restored() -> None:
    """After a restored backup: leave to people what was due since it was made, and empty Redis of what is newer."""
    from app.restoring import follow_restore

    typer.echo(f"{_run(follow_restore(read_settings()))} posts wait for their people to say whether they are out.")


@app.command()
def schema(
    check: Annotated[bool, typer.Option("--check", help="Only say whether the snapshot is up to date.")] = False,
) -> None:
    """Write the GraphQL schema's snapshot, schema/schema.graphql."""
    from schema.build import print_schema_text
    from schema.snapshot import SNAPSHOT, find_changes

    text = print_schema_text()
    if not check:
        SNAPSHOT.write_text(text)
        return
    changes = find_changes(SNAPSHOT.read_text(), text, today=datetime.now(UTC).date())
    if changes:
        typer.echo("\n".join(map(str, changes)), err=True)
        raise typer.BadParameter("schema/schema.graphql is not what the code says: run `make schema` and review it.")


@app.command()
def docs(
    folder: Annotated[Path, typer.Argument(help="Where the page goes; made if it is not there.")] = Path(
        "artefacts/reference"
    ),
) -> None:
    """Write the GraphQL contract as one page to read, index.html."""
    from schema.build import build_schema
    from schema.reference import render_reference

    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text(render_reference(build_schema()._schema))
    typer.echo(page)


@keys.command("create")
def create_key(
    user: Annotated[str, typer.Argument(help="The user's subject; made if there is none.")],
    scope: Annotated[str, typer.Option(help="read, write or admin")] = "write",
    name: Annotated[str, typer.Option(help="What the key is for")] = "cli",
    days: Annotated[int | None, typer.Option(help="Days until it ends; default: never")] = None,
) -> None:
    """Make an API key and print it, this once."""
    from app.keys import create

    wanted = _scope(scope)
    role = Role.ADMIN if wanted is Scope.ADMIN else Role.PERSON
    typer.echo(_run(create(read_settings(), subject=user, role=role, scope=wanted, name=name, days=days)))


@keys.command("list")
def list_keys() -> None:
    """Show all keys, without their secrets."""
    from app.keys import describe

    for line in _run(describe(read_settings())):
        typer.echo(line)


@keys.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(help="The key's id, or the key itself")]) -> None:
    """End a key; it stops working within seconds."""
    from app.keys import revoke

    text = key.removeprefix("crier_").split("_")[0]
    try:
        key_id = UUID(hex=text)
    except ValueError:
        raise typer.BadParameter("That is neither a key nor its id.") from None
    if not _run(revoke(read_settings(), key_id)):
        raise typer.BadParameter("There is no such key, or it was revoked before.")


@keys.command("rotate")
def rotate_secrets() -> None:
    """Encrypt all stored platform tokens with the first of SECRET_KEYS."""
    from app.keys import rotate

    typer.echo(f"{_run(rotate(read_settings()))} tokens encrypted anew.")


def main() -> None:
    """The entry: what a person can mend is one line on standard error, never a traceback."""
    try:
        app()
    except (SettingsError, EmbeddedServersUnavailable, CannotListen, CrierError) as error:
        typer.echo(f"crier: {error}", err=True)
        sys.exit(2)


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def _scope(text: str) -> Scope:
    try:
        return Scope[text.upper()]
    except KeyError:
        raise typer.BadParameter("A scope is read, write or admin.") from None
