"""Where the servers listen, what they say where they cannot, and how they end."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.serving import CannotListen, bind, refuse_silently, serving


@pytest.mark.parametrize("host", ["a..b", "192.0.2.1", "no host at all"])
def test_a_host_that_is_not_ours_is_told_as_such(host: str) -> None:
    """Another port would not help."""
    with pytest.raises(CannotListen, match="set HOST"):
        bind(host, 0, setting="PORT")


def test_a_taken_port_names_its_setting() -> None:
    """Of the three ports a process may have, the right one."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotListen, match="set SANDBOX_PORT"):
        bind("127.0.0.1", taken.getsockname()[1], setting="SANDBOX_PORT")


REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def answer(_: Request) -> PlainTextResponse:
    """At once."""
    return PlainTextResponse("here")


class Door:
    """A server that is closed when the test wants it."""

    def __init__(self) -> None:
        self.listener = bind("127.0.0.1", 0, setting="PORT")
        self.address = self.listener.getsockname()
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Serve."""
        app = Starlette(routes=[Route("/", answer)])
        await self._stack.enter_async_context(serving(app, self.listener, grace=timedelta(seconds=5)))

    async def close(self) -> None:
        """Serve no more."""
        await self._stack.aclose()

    def knock(self, *said: bytes) -> socket.socket:
        """A connection that the kernel accepts, and what was said on it."""
        connection = socket.create_connection(self.address, timeout=5)
        for words in said:
            connection.sendall(words)
        return connection


def heard(connection: socket.socket) -> bytes:
    """Everything up to the end; a reset is an error."""
    with connection:
        return b"".join(iter(lambda: connection.recv(4096), b""))


@pytest.fixture
async def door() -> Door:
    """An open one."""
    door = Door()
    await door.open()
    return door


async def test_whoever_the_kernel_let_in_is_answered(door: Door) -> None:
    """Two hundred connect and ask while the loop is held up, and the server closes before it has accepted them."""
    loop = asyncio.get_running_loop()
    closing = asyncio.create_task(door.close())
    await asyncio.sleep(0)
    knocking: list[socket.socket] = []

    def hold_up() -> None:
        time.sleep(0.2)  # uvicorn looks every tenth of a second whether it shall end
        knocking.extend(door.knock(REQUEST) for _ in range(200))

    loop.call_soon(hold_up)
    await closing

    answers = [heard(connection) for connection in knocking]
    assert all(one.startswith(b"HTTP/1.1 200 OK") and one.endswith(b"here") for one in answers)
    assert all(b"connection: close" in one for one in answers)


@pytest.mark.parametrize("said_before", [b"", REQUEST, REQUEST[:10]], ids=["nothing", "a request", "half a head"])
async def test_request_that_is_on_its_way_at_the_end_is_answered(door: Door, said_before: bytes) -> None:
    """On a new connection, on one that was kept, and where the head comes in pieces; its answer says it is the last."""
    connection = door.knock(said_before)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    if said_before == REQUEST:
        assert (await loop.sock_recv(connection, 4096)).endswith(b"here")
    await asyncio.sleep(0.05)
    closing = asyncio.create_task(door.close())
    await asyncio.sleep(0.3)

    await loop.sock_sendall(connection, REQUEST[10:] if said_before == REQUEST[:10] else REQUEST)
    said = b""
    while piece := await loop.sock_recv(connection, 4096):
        said += piece
    assert said.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in said
    await closing
    connection.close()


async def test_nobody_is_let_in_after_the_last_accept() -> None:
    """A client that comes between the last accept and the close is not taken and then reset: it finds nobody."""
    listener = bind("127.0.0.1", 0, setting="PORT")
    refuse_silently(listener)
    client = socket.socket()
    client.setblocking(False)
    connecting = asyncio.create_task(asyncio.get_running_loop().sock_connect(client, listener.getsockname()))
    await asyncio.sleep(0.2)
    assert not connecting.done()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        await connecting
    client.close()


async def test_silent_connections_hold_nothing_up(door: Door) -> None:
    """Who says nothing more is closed politely in a moment, and nobody new is let in."""
    connection = door.knock(REQUEST)
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await door.close()
    assert time.monotonic() - began < 2
    assert heard(connection).endswith(b"here")
    with pytest.raises(ConnectionRefusedError):
        door.knock()
