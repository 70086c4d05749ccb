"""Which revisions of the database this code knows, told by the names of the migrations' files.

Alembic, which runs them, weighs ten megabytes and is loaded only by a process that migrates.
"""

from pathlib import Path

from app.complaints import Complaint

MIGRATIONS = Path(__file__).parent.parent / "migrations"
BASE = "base"


class MigrationRefused(Complaint):
    """The database is left as it is; the message says why, and what to do."""


def list_revisions() -> list[str]:
    """All that this code knows, from `base` to the newest."""
    return [BASE, *sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*_*.py"))]


def newest_revision() -> str:
    """The revision that this code expects."""
    return list_revisions()[-1]


def check_road(*, through_pgbouncer: bool) -> None:
    """Raises MigrationRefused where migrations would go through PgBouncer: the lock that keeps two of them apart is the
    session's, and PgBouncer gives every transaction another one."""
    if through_pgbouncer:
        raise MigrationRefused(
            "migrations do not go through PgBouncer: for this command set DATABASE_URL to PostgreSQL itself,"
            " and DB_THROUGH_PGBOUNCER=false"
        )


def check_revision(found: str | None) -> None:
    """Raises MigrationRefused where the database is older than this code; a newer one is for the code that follows."""
    known = list_revisions()
    if (found or BASE) in known[:-1]:
        raise MigrationRefused(
            f"the database stands at {found or 'no revision'} and this code needs {known[-1]}:"
            " run `python -m app migrate` first"
        )
