"""A client that costs little beside what it measures: HTTP/1.1 on connections kept open, answers not decoded."""

import asyncio
import time
from collections import defaultdict
from contextlib import suppress

import orjson
from websockets.asyncio.client import connect

PATIENCE = 10.0


class Wires:
    """Connections to one or more API processes, in turn."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        self._turn = 0
        self._idle: dict[int, list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = defaultdict(list)

    def next_port(self) -> int:
        """The process whose turn it is."""
        self._turn += 1
        return self._ports[self._turn % len(self._ports)]

    async def ask(self, token: str, document: str, variables: dict[str, object]) -> bool:
        """Whether an operation was answered, and without errors."""
        body = orjson.dumps({"query": document, "variables": variables})
        head = (
            "POST /graphql HTTP/1.1\r\nHost: crier\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        status, answer = await self.send(self.next_port(), head.encode() + body)
        return status == 200 and not answer.startswith(b'{"errors"')

    async def send(self, port: int, request: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer to a whole request."""
        idle = self._idle[port]
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            body = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        idle.append((reader, writer))
        return status, body

    def close(self) -> None:
        """Drop all connections."""
        for idle in self._idle.values():
            for _, writer in idle:
                writer.close()


async def watch(port: int, token: str, *, hold: float) -> float:
    """Subscribe over a socket, and give the seconds until the first event; the subscription is then held a while."""
    began = time.perf_counter()
    async with connect(f"ws://127.0.0.1:{port}/graphql", subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        await socket.send(
            orjson.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}).decode()
        )
        await asyncio.wait_for(socket.recv(), PATIENCE)
        query = "subscription Watch { postsChanged { id status } }"
        await socket.send(orjson.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}).decode())
        first = orjson.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
        seconds = time.perf_counter() - began
        if first["type"] != "next":
            raise RuntimeError(f"no event: {first}")
        with suppress(TimeoutError):
            async with asyncio.timeout(hold):
                async for _ in socket:  # a client that reads no further could not even close in good order
                    pass
    return seconds
