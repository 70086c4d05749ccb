"""The head of an answer and what follows it leave together, where uvicorn writes each by itself.

That is one system call and one packet less for every answer, and the client wakes up once.
"""

import asyncio

_HEAD = b"HTTP/1."


class JoinedAnswer:
    """A transport as an answer sees it: a head waits for the next part, but not beyond this turn of the event loop."""

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send, after the head that waits."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Send what waits, and close."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._head:
            self.write(b"")
