"""Asking a server over its unix socket, and where such a socket may be."""

import os
import re
import socket
import stat
import struct
import sys
from pathlib import Path

from app.embedded.errors import EmbeddedServersUnavailable
from app.embedded.placement import Placement
from app.embedded.users import make_private

_LONGEST_PATH = 107 if sys.platform == "linux" else 103  # bytes in sockaddr_un.sun_path, less the closing zero
_UNSPEAKABLE = re.compile(r'[,:"%?#&]')  # these divide hosts, ports and options in URLs and settings
_LONGEST_NAME = ".s.PGSQL.5432.lock"


def make_socket_folder(place: Placement) -> Path:
    """A folder that only the servers' user may enter: `run` beside the data.

    Where no socket can be, the path being too long, or where it could not be written in a URL, it is one in /tmp.
    """
    folder = place.folder / "run"
    if len(os.fsencode(folder / _LONGEST_NAME)) > _LONGEST_PATH or _UNSPEAKABLE.search(str(folder)):
        folder = Path("/tmp") / f"crier-{place.key}"  # noqa: S108 — owner and mode are checked
    make_private(folder, place.user)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != place.user.uid or stat.S_IMODE(found.st_mode) != 0o700:
        raise EmbeddedServersUnavailable(f"{folder} is not a private folder of uid {place.user.uid}: remove it")
    return folder


def ask(path: Path, question: bytes, *, pid: int) -> bytes:
    """The first bytes that process `pid` answers on the socket `path`; empty if it, or anybody, does not."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(path))
            if _listener(connection) not in (pid, None):
                return b""
            connection.sendall(question)
            return connection.recv(64)
        except OSError:
            return b""


def _listener(connection: socket.socket) -> int | None:
    """Who listens on the other end; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)
