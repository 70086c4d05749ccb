"""Clients that take nothing of what they are sent."""

import asyncio
from collections.abc import Callable

STALL_PATIENCE = 20.0
"""Seconds in which who is being sent something has to take some of it."""
LINGER = 1.0
"""Seconds that a connection is still read, into nothing, once it was given up: what it was told may yet be taken."""
TOO_SLOW = 4413
"""The code with which a socket is closed whose client does not read."""


class Stall:
    """A client that takes nothing more for now, which may go on for `patience` seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        self._loop = loop
        self._patience = patience
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, give_up: Callable[[], None]) -> None:
        """From now on it is waited for, and given up once its time is over. Only so long is `give_up` held: whoever
        stalls owns this, and a connection that led back to itself would be left to the garbage collector."""
        self.end()
        self._timer = self._loop.call_later(self._patience, give_up)

    def end(self) -> None:
        """It took something, or it is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
