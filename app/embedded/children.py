"""Children that end with their parent, however it ends.

Linux sends a child its `stop_signal` when the *thread* that started it is gone (PR_SET_PDEATHSIG), which is why servers
are started from the main thread only. Elsewhere nothing does, and a kill -9 of the parent leaves them to be ended by
hand.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.embedded.errors import EmbeddedServersUnavailable
from app.embedded.users import ServerUser

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.005
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
"""All that a child sees of our environment: no locale surprises, no PG* variables, no secrets."""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that its pid's next user cannot be taken for; `started` in clock ticks since boot, 0 where unknown."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """The process that has this pid now."""
        return cls(pid, _read_start_time(pid))

    def is_alive(self) -> bool:
        """Whether this very process is still there."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # it is there, and somebody else's
            pass
        return _read_start_time(self.pid) == self.started


class Child:
    """A process of ours, its log and the signal that ends it gently."""

    def __init__(self, *, name: str, process: subprocess.Popen[bytes], log: Path, stop_signal: signal.Signals) -> None:
        self.identity = ProcessIdentity.of(process.pid)
        self._name = name
        self._process = process
        self._log = log
        self._stop_signal = stop_signal

    def wait_until(self, is_ready: Callable[[], bool], *, timeout: float) -> None:
        """Return as soon as it serves; raise with its last words if it ends instead, or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not is_ready():
            if self._process.poll() is not None:
                raise EmbeddedServersUnavailable(f"{self._name} did not start: {_last_words(self._log)} ({self._log})")
            if time.monotonic() > deadline:
                raise EmbeddedServersUnavailable(f"{self._name} is not ready after {timeout:g} s, see {self._log}")
            time.sleep(_POLL_SECONDS)

    def await_success(self) -> None:
        """Wait for a program that ends by itself; raise with its last words if it failed."""
        try:
            failed = self._process.wait()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        if failed:
            raise EmbeddedServersUnavailable(f"{self._name} failed: {_last_words(self._log)} ({self._log})")

    def ask_to_stop(self) -> None:
        """Send the gentle signal."""
        self._process.send_signal(self._stop_signal)

    def await_end(self, *, timeout: float) -> None:
        """Wait `timeout` seconds for it to end, then kill it."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start_child(
    command: Sequence[str | Path],
    *,
    name: str,
    user: ServerUser,
    folder: Path,
    log: Path,
    stop_signal: signal.Signals,
    held_open: int,
    says: IO[bytes] | None = None,
) -> Child:
    """Start `command` as `user` in `folder`, reading from the file `says`.

    As long as it or a child of its own lives, it holds the descriptor `held_open`.
    """
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as output:
        process = subprocess.Popen(  # noqa: S603 — our own words and paths
            command,
            cwd=folder,
            env=_ENVIRONMENT,
            stdin=says or subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(held_open,),
            start_new_session=True,  # Ctrl-C in the terminal is for us alone: we drain first, then stop the servers
            umask=0o077,
            user=user.uid,
            group=user.gid,
            extra_groups=user.extra_groups,
            preexec_fn=ending_with_parent(stop_signal),  # noqa: PLW1509 — two system calls, no lock to wait for
        )
    return Child(name=name, process=process, log=log, stop_signal=stop_signal)


def ending_with_parent(stop_signal: signal.Signals) -> Callable[[], None]:
    """Make what a new child does last before its program begins: ask for `stop_signal` at the death of its parent.

    `preexec_fn` runs after the change of user, which would clear the request.
    """
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def ask() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, int(stop_signal))
        if os.getppid() != parent:  # it died before we asked, so nobody would tell us
            os._exit(1)

    return ask


def _read_start_time(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "it said nothing")
