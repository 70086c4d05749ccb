"""Who owns the servers of a data folder.

The lock file is held by the owner and, through an inherited descriptor, by every server it started. So whoever gets the
lock knows that no owner and no server is left, whatever was killed and how, and needs to trust no pid file. Who does
not get it reads the state file and joins, after making sure that owner and servers are the very processes it names and
that they answer.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from app.embedded.children import ProcessIdentity


class FolderLock:
    """The exclusive lock on a data folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    @property
    def descriptor(self) -> int:
        """What a server inherits, so that the lock lasts as long as it does."""
        return self._descriptor

    def try_acquire(self) -> bool:
        """Take it if nobody has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go of it by closing only: unlocking would unlock it for a server that still holds it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True)
class RunningServer:
    """One server as those who join it need it."""

    process: ProcessIdentity
    socket: Path
    url: str


@dataclass(frozen=True)
class RunningServers:
    """What the owner tells those who join."""

    owner: ProcessIdentity
    servers: dict[str, RunningServer]

    def write(self, path: Path) -> None:
        """Save it at once and whole; it holds the password, so nobody else may read it."""
        unfinished = path.with_name(path.name + ".new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(_SAVED.dump_json(self))
        unfinished.replace(path)

    @classmethod
    def read(cls, path: Path) -> "RunningServers | None":
        """What the last owner wrote; None if there is nothing or it makes no sense."""
        try:
            return _SAVED.validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None


_SAVED = TypeAdapter(RunningServers)
