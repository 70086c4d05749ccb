"""Installs what the JavaScript examples need, once per state of their lock file: `python -m tests.clients.packages`."""

import fcntl
import hashlib
import sys
from pathlib import Path

from app.npm import NpmUnavailable, find_node

CLIENTS = Path(__file__).parent
STAMP = CLIENTS / "node_modules" / ".stamp"


def install_packages() -> None:
    """Leave `node_modules` as the lock file says. Raises NpmUnavailable with the reason."""
    state = hashlib.sha256((CLIENTS / "package-lock.json").read_bytes()).hexdigest()
    with (CLIENTS / ".installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of one test run may all come at once
        if STAMP.exists() and STAMP.read_text() == state:
            return
        find_node().install(CLIENTS)
        STAMP.write_text(state)


if __name__ == "__main__":
    try:
        install_packages()
    except NpmUnavailable as error:
        sys.exit(f"The clients' packages were not installed: {error}")
