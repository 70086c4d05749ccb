"""Which user the servers run as, and what belongs to it.

Started by an ordinary user, they run as that user and nothing here changes anything. PostgreSQL refuses to run as root,
so for root they run as the owner of the data folder where that is somebody else, else under a uid of their own. It is
one that systemd's table of uids leaves free (60578 to 61183): an account like `nobody` is shared with other programs,
and those could read the data. A number needs no account. Only initdb looks for the name of its uid, so it runs as
`nobody`, on a folder that holds nothing yet and is handed over afterwards.
"""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from app.embedded.errors import EmbeddedServersUnavailable

_OWN_ID = 61_000


@dataclass(frozen=True)
class ServerUser:
    """The numbers that the servers run under."""

    uid: int
    gid: int

    @property
    def extra_groups(self) -> list[int] | None:
        """None of root's groups go along; None (leave them as they are) where nobody may change them."""
        return [] if os.geteuid() == 0 else None


def choose_user(data_dir: Path) -> ServerUser:
    """The user for the servers of this data folder."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid())
    owner = data_dir.stat()
    return ServerUser(owner.st_uid, owner.st_gid) if owner.st_uid != 0 else ServerUser(_OWN_ID, _OWN_ID)


def initdb_user(user: ServerUser) -> ServerUser:
    """The user for initdb, which refuses a uid without a name: the servers' own if it has one, else `nobody`."""
    if _has_name(user.uid):
        return user
    if os.geteuid() != 0:
        raise EmbeddedServersUnavailable(f"initdb wants uid {user.uid} in /etc/passwd: add it, or set DATABASE_URL")
    try:
        return ServerUser(pwd.getpwnam("nobody").pw_uid, user.gid)
    except KeyError:
        raise EmbeddedServersUnavailable(
            "initdb does not run as root, and there is no account `nobody`: start as another user, or set DATABASE_URL"
        ) from None


def can_run(user: ServerUser, *command: str | Path) -> bool:
    """Whether a command succeeds as `user`. Trying it covers modes, groups, ACLs and mounts alike."""
    try:
        done = subprocess.run(  # noqa: S603 — our own words and paths
            command,
            user=user.uid,
            group=user.gid,
            extra_groups=user.extra_groups,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def make_private(folder: Path, user: ServerUser) -> None:
    """Make `folder` for `user` alone, if it is not there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    hand_over(folder, user)


def hand_over(folder: Path, user: ServerUser) -> None:
    """Give `folder` and all in it to `user`, unless it is theirs; itself last, so that the next start mends a kill."""
    if folder.lstat().st_uid == user.uid:
        return
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in folders + files:
            os.chown(Path(parent, name), user.uid, user.gid, follow_symlinks=False)
    os.chown(folder, user.uid, user.gid, follow_symlinks=False)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
