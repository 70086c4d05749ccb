"""Clients that do not read what they asked for: bounded, told, and let go."""

import asyncio
import socket
import struct
from urllib.parse import urlsplit

import orjson
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from app.protocols import PING_PATIENCE, careful_config
from app.stalling import TOO_SLOW
from services.backends.database import Database
from tests.app.edge.small_edge import SmallEdge, small_edge
from tests.serving import served

ENDLESS = (
    f"subscription {{count(to: 10000000) {{{' '.join(f'{chr(97 + n % 26) * 60}{n}: number' for n in range(90))}}}}}"
)
"""Events of some kilobytes: the system itself holds a few megabytes for whoever does not read."""
HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


async def connect_narrowly(origin: str) -> socket.socket:
    """A connection whose client can hold next to nothing."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    line.setblocking(False)
    host = urlsplit(origin)
    await asyncio.get_running_loop().sock_connect(line, (host.hostname, host.port))
    return line


async def read_to_the_end(line: socket.socket) -> bytes:
    """All that still comes."""
    pieces = []
    try:
        while piece := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(line, 1 << 20), 5):
            pieces.append(piece)
    except ConnectionError:
        pass
    return b"".join(pieces)


async def ended(edge: SmallEdge) -> bool:
    """Whether everything that ran is over within some seconds."""
    for _ in range(1_500):
        if edge.contexts and all(context.closed for context in edge.contexts):
            return True
        await asyncio.sleep(0.02)
    return False


def frame(message: object) -> bytes:
    """A text frame as clients send them."""
    text = orjson.dumps(message)
    return struct.pack("!BBH", 0x81, 0xFE, len(text)) + b"\0\0\0\0" + text


async def test_socket_that_is_not_read_is_closed_with_4413(database: Database) -> None:
    """Its operations end, and the reason stands behind what it did not read."""
    edge = small_edge(database)
    async with served(edge.app, stall_patience=0.3) as origin:
        loop, line = asyncio.get_running_loop(), await connect_narrowly(origin)
        with line:
            await loop.sock_sendall(line, HANDSHAKE)
            assert b" 101 " in await loop.sock_recv(line, 1_000)
            await loop.sock_sendall(line, frame({"type": "connection_init", "payload": {"padding": "x" * 200}}))
            await loop.sock_sendall(line, frame({"type": "subscribe", "id": "1", "payload": {"query": ENDLESS}}))
            assert await ended(edge)
            unread = await read_to_the_end(line)
    assert unread.endswith(struct.pack("!BBH", 0x88, 2 + len("Too slow"), TOO_SLOW) + b"Too slow")
    assert len(unread) < 10_000_000
    assert len(edge.streams) == 0


async def test_client_that_answers_no_ping_is_given_up_with_1011(database: Database) -> None:
    """Whoever is gone without a word holds nothing for long; whoever answers is kept, however quiet it is."""
    edge = small_edge(database)
    assert careful_config(edge.app).ws_ping_interval == careful_config(edge.app).ws_ping_timeout == PING_PATIENCE
    async with served(edge.app, ws_ping_interval=0.2, ws_ping_timeout=2) as origin:
        url = origin.replace("http", "ws", 1) + "/graphql"
        loop, line = asyncio.get_running_loop(), await connect_narrowly(origin)
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as answering:
            with line:
                await loop.sock_sendall(line, HANDSHAKE)
                await loop.sock_sendall(line, frame({"type": "connection_init", "payload": {"padding": "x" * 200}}))
                assert b"\x88\x18\x03\xf3" in await read_to_the_end(line)
            await answering.send('{"type": "ping"}')
            assert await asyncio.wait_for(answering.recv(), 5) == '{"type":"pong"}'


async def test_stream_that_is_not_read_is_broken_off(database: Database) -> None:
    """Its operation ends, too; half an answer can say so in no other way."""
    edge = small_edge(database)
    async with served(edge.app, stall_patience=0.3) as origin:
        loop, line = asyncio.get_running_loop(), await connect_narrowly(origin)
        with line:
            body = orjson.dumps({"query": ENDLESS})
            await loop.sock_sendall(
                line,
                f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body,
            )
            assert await ended(edge)


async def test_reader_that_takes_its_time_is_served_to_the_end(database: Database) -> None:
    """Slow is not stalled: whoever reads on, however little at a time, is waited for."""
    edge = small_edge(database)
    async with served(edge.app, stall_patience=0.5) as origin:
        loop, line = asyncio.get_running_loop(), await connect_narrowly(origin)
        with line:
            body = orjson.dumps({"query": "subscription {count(to: 4000) {number}}"})
            await loop.sock_sendall(
                line,
                b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body,
            )
            heard = b""
            while b"event: complete" not in heard[-200:]:
                heard += await asyncio.wait_for(loop.sock_recv(line, 16_384), 5)
                await asyncio.sleep(0.02)
    assert heard.count(b"event: next") == 4_000
