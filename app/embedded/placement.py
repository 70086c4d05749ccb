"""Which folder the servers' files are in: the data folder, or one that the servers' user can reach.

Nothing outside the data folder is changed to let that user in. Where a folder above it is closed (a checkout under
/root), data, sockets and programs go to a folder under /var/lib that is named after the path of the data folder, and
stay there.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from app.embedded.errors import EmbeddedServersUnavailable
from app.embedded.users import ServerUser, can_run, choose_user

_ELSEWHERE = Path("/var/lib")


@dataclass(frozen=True)
class Placement:
    """The servers' user, and the folder with their data, their sockets and (if need be) their programs."""

    user: ServerUser
    folder: Path

    @property
    def key(self) -> str:
        """A short name for this folder, for use in other places."""
        return _key(self.folder)


def place_servers(data_dir: Path) -> Placement:
    """Decide both for an existing, absolute `data_dir`."""
    user = choose_user(data_dir)
    if user.uid == os.geteuid():
        return Placement(user, data_dir)

    elsewhere = _ELSEWHERE / f"crier-{_key(data_dir)}"
    if elsewhere.exists():
        return Placement(user, elsewhere)
    if _can_enter(user, data_dir):
        return Placement(user, data_dir)
    elsewhere.mkdir(mode=0o700)
    if not _can_enter(user, elsewhere):
        elsewhere.rmdir()
        raise EmbeddedServersUnavailable(f"uid {user.uid} can enter neither {data_dir} nor {elsewhere}: set DATA_DIR")
    return Placement(user, elsewhere)


def _can_enter(user: ServerUser, folder: Path) -> bool:
    """Open the door of `folder` itself to `user`, then see whether the way there is open."""
    found = folder.stat()
    if found.st_uid != user.uid and not found.st_mode & stat.S_IXOTH:
        os.chown(folder, -1, user.gid)
        folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXGRP)
    return can_run(user, "/bin/sh", "-c", 'cd "$0"', folder)


def _key(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
