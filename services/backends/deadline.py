"""The time that an operation has left, known to everything that runs on its behalf."""

import time
from contextvars import ContextVar, Token
from dataclasses import dataclass
from datetime import timedelta

from services.domain.errors import TimedOut


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock (seconds) at which an operation ends."""

    at: float

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


class _Within:
    """A block with a deadline of its own."""

    __slots__ = ("_deadline", "_token")

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def __enter__(self) -> Deadline:
        self._token: Token[Deadline | None] = _current.set(self._deadline)
        return self._deadline

    def __exit__(self, *raised: object) -> None:
        _current.reset(self._token)


def deadline_in(limit: timedelta) -> _Within:
    """Everything inside ends within `limit`, or within the time of an enclosing deadline where that is shorter."""
    deadline = Deadline(time.monotonic() + limit.total_seconds())
    outer = _current.get()
    if outer is not None and outer.at < deadline.at:
        deadline = outer
    return _Within(deadline)


def extra_time(limit: timedelta) -> _Within:
    """Time of its own for cleaning up, even where the caller's is over."""
    return _Within(Deadline(time.monotonic() + limit.total_seconds()))


def current_deadline() -> Deadline | None:
    """The deadline of whoever calls; None where nobody set one."""
    return _current.get()


def forget_deadline() -> None:
    """Leave the caller's deadline behind, for a task that outlives it."""
    _current.set(None)


def time_left(most: float, *, headroom: float = 0.0) -> float:
    """Seconds a call may take: `most`, or what the deadline leaves less `headroom`; TimedOut where that is nothing."""
    deadline = _current.get()
    if deadline is None:
        return most
    left = deadline.remaining() - headroom
    if left <= 0:
        raise TimedOut("The operation's time is over.")
    return min(most, left)
