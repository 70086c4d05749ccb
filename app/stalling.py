"""Clients that take nothing of what they are sent."""

import asyncio
from collections.abc import Callable

STALL_PATIENCE = 20.0
"""Seconds in which who is being sent something has to take some of it."""
TOO_SLOW = 4413
"""The code with which a socket is closed whose client does not read."""


class Stall:
    """A client that takes nothing more for now, and what to do if that goes on for `patience` seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: float, give_up: Callable[[], None]) -> None:
        self._loop = loop
        self._patience = patience
        self._give_up = give_up
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """From now on it is waited for."""
        self.end()
        self._timer = self._loop.call_later(self._patience, self._give_up)

    def end(self) -> None:
        """It took something, or it is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
