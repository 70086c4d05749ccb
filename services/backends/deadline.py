"""The time that an operation has left, known to everything that runs on its behalf."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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


@contextmanager
def deadline_in(limit: timedelta) -> Iterator[Deadline]:
    """Everything inside ends within `limit`, or within the time of an enclosing deadline where that is shorter."""
    deadline = Deadline(time.monotonic() + limit.total_seconds())
    outer = _current.get()
    if outer is not None and outer.at < deadline.at:
        deadline = outer
    with _within(deadline):
        yield deadline


@contextmanager
def extra_time(limit: timedelta) -> Iterator[Deadline]:
    """Time of its own for cleaning up, even where the caller's is over."""
    deadline = Deadline(time.monotonic() + limit.total_seconds())
    with _within(deadline):
        yield deadline


@contextmanager
def _within(deadline: Deadline) -> Iterator[None]:
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)


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
