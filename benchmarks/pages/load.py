"""Load: as many connections as wanted, each of which asks again as soon as it is answered.

It runs as a process of its own and understands no more of HTTP than where an answer ends, so that it takes a small part
of the machine.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Connection(asyncio.Protocol):
    """One connection; every answer is timed, and one that is not 200 ends the run."""

    def __init__(self, requests: Iterator[bytes], times: list[float], failures: list[bytes]) -> None:
        self._requests = requests
        self._times = times
        self._failures = failures
        self._received = bytearray()
        self._began = 0.0
        self._transport: Any = None
        self._missing = 0
        self.is_stopped = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Ask again once the answer is whole."""
        if self._missing > 0:
            self._missing -= len(data)
        else:
            self._received += data
            end = self._received.find(_END_OF_HEAD)
            if end < 0:
                return
            head = bytes(self._received[:end]).lower()
            if not head.startswith(b"http/1.1 200"):
                self._failures.append(bytes(self._received[:2_000]))
                self.is_stopped = True
            at = head.index(_LENGTH) + len(_LENGTH)
            length = int(head[at:].split(b"\r\n", 1)[0])
            self._missing = end + len(_END_OF_HEAD) + length - len(self._received)
        if self._missing <= 0:
            self._times.append(time.perf_counter() - self._began)
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Over."""
        if not self.is_stopped:
            self._failures.append(b"the connection was closed")
        self.closed.set_result(None)

    def _ask(self) -> None:
        self._missing = 0
        self._received.clear()
        if self.is_stopped:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))


async def run_load(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> list[float]:
    """The time of every answer, in seconds. Raises RuntimeError where one was not 200."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    failures: list[bytes] = []
    opened = [
        (await loop.create_connection(lambda: Connection(requests, times, failures), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    for connection in opened:
        connection.is_stopped = True
    await asyncio.wait([connection.closed for connection in opened], timeout=10)
    if failures:
        raise RuntimeError(failures[0].decode(errors="replace"))
    return times
