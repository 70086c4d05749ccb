"""All sockets and event streams of this process, so that a shutdown can say good-bye to each."""

import asyncio
from typing import Protocol

GOING_AWAY = 1001


class Closable(Protocol):
    """A socket that can be closed with a code and a reason."""

    async def close(self, code: int, reason: str) -> None:
        """Close it; does nothing where it is closed already."""
        ...


class OpenStreams:
    """What is open, and whether all of it is about to end."""

    def __init__(self) -> None:
        self._sockets: set[Closable] = set()
        self.closing = asyncio.Event()
        """Set once at shutdown; event streams end by themselves when it is."""

    def add(self, socket: Closable) -> None:
        """Note a socket that was opened."""
        self._sockets.add(socket)

    def discard(self, socket: Closable) -> None:
        """Forget a socket that is closed."""
        self._sockets.discard(socket)

    def __len__(self) -> int:
        return len(self._sockets)

    async def close_all(self) -> None:
        """End every event stream, and close every socket with 1001; clients then connect elsewhere."""
        self.closing.set()
        sockets = tuple(self._sockets)
        await asyncio.gather(*(socket.close(GOING_AWAY, "Going away") for socket in sockets), return_exceptions=True)
