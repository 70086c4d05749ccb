"""An event loop whose time does not pass: where nothing is left to do but wait, it jumps to the end of the waiting."""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)


class NothingWillHappen(Exception):
    """Everybody waits for somebody, and nobody for a time."""


class _Jumping(selectors.SelectSelector):
    """Waits for nothing; tells how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Jump."""
        if timeout is None:
            raise NothingWillHappen
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """asyncio as ever, on a clock of its own; the same work takes the same course each time."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._jumping.now


def now() -> datetime:
    """The virtual moment."""
    return BEGINNING + timedelta(seconds=asyncio.get_running_loop().time())


def run(work: Coroutine[Any, Any, T]) -> T:
    """What the work gives, without any waiting."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
