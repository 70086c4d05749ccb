"""Connections that are kept: used again while they are open, never for two calls, never with another call's answer."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest

from services.providers import connections
from services.providers.failures import NotDone
from services.providers.wire import Reply, Wire, open_http


@dataclass
class Platform:
    """Answers each request with its path and the number of the connection that it came over."""

    url: str = ""
    opened: int = 0
    open_now: int = 0
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a request for /slow is there; its answer comes when `release` is set."""
    release: asyncio.Event = field(default_factory=asyncio.Event)
    closes_after_each: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its client has gone."""
        self.opened += 1
        self.open_now += 1
        number = self.opened
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split()[1].decode()
                if path == "/slow":
                    self.busy.set()
                    await self.release.wait()
                content = gzip.compress(json.dumps({"path": path, "connection": number}).encode())
                length = f"Content-Length: {len(content)}"
                writer.write(f"HTTP/1.1 200 OK\r\n{length}\r\nContent-Encoding: gzip\r\n\r\n".encode() + content)
                await writer.drain()
                if self.closes_after_each:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.open_now -= 1
            writer.close()


@asynccontextmanager
async def a_platform() -> AsyncIterator[tuple[Platform, Wire]]:
    """The platform, and what calls it."""
    platform = Platform()
    server = await asyncio.start_server(platform.serve, "127.0.0.1", 0)
    platform.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with open_http() as http, asyncio.timeout(30):
        yield platform, Wire(http=http, timeout=timedelta(seconds=10))
        await http.aclose()
        while platform.open_now:
            await asyncio.sleep(0.01)
    server.close()


async def call(platform: Platform, wire: Wire, path: str) -> dict[str, object]:
    """What is answered to this path."""
    reply = await wire.send("GET", f"{platform.url}{path}")
    assert isinstance(reply, Reply)
    assert reply.data["path"] == path
    return dict(reply.data)


async def test_calls_one_after_the_other_share_a_connection() -> None:
    """And a compressed answer is read."""
    async with a_platform() as (platform, wire):
        found = [await call(platform, wire, f"/{n}") for n in range(5)]

    assert {one["connection"] for one in found} == {1}


async def test_calls_side_by_side_have_connections_of_their_own() -> None:
    """Twenty at once; afterwards they are kept for the next twenty."""
    async with a_platform() as (platform, wire):
        for _ in range(2):
            await asyncio.gather(*(call(platform, wire, f"/{n}") for n in range(20)))
        assert platform.opened == platform.open_now <= 20


async def test_connection_that_the_platform_has_closed_is_replaced() -> None:
    """Seen before anything is sent: no call is lost over it."""
    async with a_platform() as (platform, wire):
        platform.closes_after_each = True
        for n in range(4):
            assert (await call(platform, wire, f"/{n}"))["connection"] == n + 1
            while platform.open_now:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)


async def test_call_that_was_given_up_leaves_its_answer_to_nobody() -> None:
    """Cancelled, or out of time, its connection is closed: the next call gets its own answer."""
    async with a_platform() as (platform, wire):
        first = asyncio.create_task(call(platform, wire, "/slow"))
        await platform.busy.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        platform.release.set()

        assert (await call(platform, wire, "/next"))["connection"] == 2


async def test_too_many_idle_connections_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first; and what has been idle for too long is not used again."""
    monkeypatch.setattr(connections, "KEPT_AT_MOST", 3)
    async with a_platform() as (platform, wire):
        platform.release.clear()
        waiting = [asyncio.create_task(call(platform, wire, "/slow")) for _ in range(8)]
        while platform.opened < 8:
            await asyncio.sleep(0.01)
        platform.release.set()
        await asyncio.gather(*waiting)

        assert (await call(platform, wire, "/next"))["connection"] in range(1, 9)
        while platform.open_now > 3:
            await asyncio.sleep(0.01)
        assert (platform.opened, platform.open_now) == (8, 3)


async def test_address_that_is_none_is_told() -> None:
    """As httpx tells it."""
    async with open_http() as http:
        outcome = await Wire(http=http).send("GET", "ftp://127.0.0.1/")
        assert isinstance(outcome, NotDone)
        assert outcome.is_certain
        with pytest.raises(httpx.UnsupportedProtocol):
            await http.get("ftp://127.0.0.1/")
