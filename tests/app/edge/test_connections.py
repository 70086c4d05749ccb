"""What reaches the server but never becomes a request: slow, endless, broken. All of it is refused in our own shape."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from app.protocols import MOST_HEAD_BYTES, MOST_URL_BYTES, CarefulHttp
from services.backends.database import Database
from tests.app.edge.conftest import Edge, RunningEdge
from tests.app.edge.small_edge import small_edge
from tests.serving import served

SAFE = ("content-security-policy", "x-content-type-options", "referrer-policy", "x-frame-options", "x-correlation-id")


class Line:
    """A bare connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """The next answer's status, headers and JSON."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        status, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(status.split()[1]), headers, orjson.loads(body) if body else None

    async def is_closed(self) -> bool:
        """Whether the server closes within a second, without another word."""
        try:
            return await asyncio.wait_for(self.reader.read(), 1) == b""
        except ConnectionError:
            return True

    async def refusal(self) -> tuple[int, str]:
        """Status and code of an answer that has to be a whole refusal, after which the server closes."""
        status, headers, body = await self.answer()
        assert headers["content-type"] == "application/json; charset=utf-8"
        assert headers["connection"] == "close"
        assert all(name in headers for name in SAFE)
        assert body["errors"][0]["extensions"]["correlationId"] == headers["x-correlation-id"]
        assert await self.is_closed()
        return status, body["errors"][0]["extensions"]["code"]


@asynccontextmanager
async def connected(origin: str) -> AsyncIterator[Line]:
    """A connection to the server."""
    host = urlsplit(origin)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


@pytest.fixture
async def running(edge: Edge) -> RunningEdge:
    """An edge as it comes."""
    return await edge()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n", 400),
        (b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /works HTTP/1.1\r\n\r\n", 400),
        (b"GET /works HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET /works HTTP/1.1\r\nHost: a/b c\r\n\r\n", 400),
        (b"GET /works HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /" + b"a" * MOST_URL_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /?" + b"a" * 10 * MOST_HEAD_BYTES, 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * MOST_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * (MOST_HEAD_BYTES // 5) + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 10 * MOST_HEAD_BYTES, 431),
    ],
    ids=range(15),
)
async def test_what_is_no_request_is_refused_with_a_code(running: RunningEdge, sent: bytes, status: int) -> None:
    """As GraphQL JSON under safe headers, like every other refusal; then the connection is closed."""
    async with connected(running.origin) as line:
        line.writer.write(sent)
        assert await line.refusal() == (status, "BAD_REQUEST")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0",
        b"HTTP/1.1\r\nHost:",
        b"HTTP/1.1\r\nHost: [::1]:8000",
        b"HTTP/1.1\r\nhOST: crier-api.example_net:80",
    ],
)
async def test_host_is_named_in_every_way_there_is(running: RunningEdge, head: bytes) -> None:
    """By no name, an address, a service's name with an underscore; HTTP/1.0 knew no hosts yet."""
    async with connected(running.origin) as line:
        line.writer.write(b"GET /works " + head + b"\r\n\r\n")
        assert (await line.answer())[0] == 200


async def test_longest_head_that_is_allowed_is_served(running: RunningEdge) -> None:
    """The bounds refuse nothing that fits."""
    async with connected(running.origin) as line:
        padding = b"a" * (MOST_HEAD_BYTES - 1_000)
        line.writer.write(b"GET /works HTTP/1.1\r\nHost: x\r\nX-Padding: " + padding + b"\r\n\r\n")
        assert (await line.answer())[0] == 200


@pytest.mark.parametrize(
    "beginning", [b"", b"\r\n", b"GET /works HT", b"GET /works HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=range(4)
)
async def test_head_that_does_not_come_in_time_is_408(database: Database, beginning: bytes) -> None:
    """However it dribbles in: the clock runs from the first byte on, and is not wound up again by the next."""
    async with (
        served(small_edge(database).app, head_patience=0.4) as origin,
        connected(origin) as line,
    ):
        line.writer.write(beginning)
        dribble = asyncio.create_task(_dribble(line.writer)) if b"X-Slow" in beginning else None
        began = asyncio.get_running_loop().time()
        assert await line.refusal() == (408, "BAD_REQUEST")
        assert asyncio.get_running_loop().time() - began < 3
        if dribble is not None:
            dribble.cancel()


async def _dribble(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"a")
        await asyncio.sleep(0.05)


async def test_slow_head_of_a_second_request_is_given_up_too(database: Database) -> None:
    """The first is answered; what dribbles in after it has no more time than it had. Bodies have time of their own."""
    async with (
        served(small_edge(database).app, head_patience=0.4) as origin,
        connected(origin) as line,
    ):
        head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
        line.writer.write(head)
        await asyncio.sleep(0.8)
        line.writer.write(b'{"query":"{quick}"}GET /wor')
        assert (await line.answer())[2] == {"data": {"quick": "done"}}
        assert await line.refusal() == (408, "BAD_REQUEST")


async def test_idle_connection_is_closed_without_a_word(database: Database) -> None:
    """Once it has been answered, nobody waits for it for ever."""
    async with (
        served(small_edge(database).app, timeout_keep_alive=0.2) as origin,
        connected(origin) as line,
    ):
        line.writer.write(b"GET /works HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await line.answer())[0] == 200
        assert await line.is_closed()


async def test_broken_body_is_refused_and_a_broken_follow_up_closes(running: RunningEdge) -> None:
    """Chunks that are none; and nonsense behind a request never lands in the middle of its answer."""
    async with connected(running.origin) as line:
        line.writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"
        )
        assert await line.refusal() == (400, "BAD_REQUEST")


HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n%b\r\n"
)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (HANDSHAKE.replace(b"Key: MDEyMzQ1Njc4OWFiY2RlZg==", b"Key: x") % (b"/graphql", b""), 400, "BAD_REQUEST"),
        (HANDSHAKE.replace(b"Version: 13", b"Version: 7") % (b"/graphql", b""), 400, "BAD_REQUEST"),
        (HANDSHAKE % (b"/graphql", b"Origin: https://evil.example\r\n"), 403, "FORBIDDEN"),
        (HANDSHAKE % (b"/nowhere", b""), 403, "FORBIDDEN"),
        (HANDSHAKE.replace(b"Host: x\r\n", b"") % (b"/graphql", b""), 400, "BAD_REQUEST"),
        (HANDSHAKE.replace(b"GET", b"POST") % (b"/graphql", b"Content-Length: 2\r\n"), 400, "BAD_REQUEST"),
        (HANDSHAKE % (b"/graphql?" + b"a" * 9_000, b""), 414, "BAD_REQUEST"),
        (HANDSHAKE % (b"/graphql", b"X-Long: " + b"a" * 9_000 + b"\r\n"), 431, "BAD_REQUEST"),
        (HANDSHAKE % (b"/graphql", b"X-Many: a\r\n" * 200), 431, "BAD_REQUEST"),
    ],
    ids=range(9),
)
async def test_handshake_that_fails_is_refused_with_a_code(
    running: RunningEdge, sent: bytes, status: int, code: str
) -> None:
    """A broken one, a foreign origin, an address without sockets."""
    async with connected(running.origin) as line:
        line.writer.write(sent)
        given, headers, body = await line.answer()
        assert (given, body["errors"][0]["extensions"]["code"]) == (status, code)
        assert all(name in headers for name in SAFE)
        assert await line.is_closed()


async def test_every_refusal_of_the_edge_is_graphql_json_with_a_code(running: RunningEdge) -> None:
    """Unknown addresses, a slash too many, methods, preflights: nothing is plain text, nothing redirects."""
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method, path, headers in (
        ("GET", "/nowhere", {}),
        ("GET", "/graphql/", {}),
        ("POST", "/works", {}),
        ("DELETE", "/graphql", {}),
        ("OPTIONS", "/graphql", {}),
        ("OPTIONS", "/graphql", preflight),
        ("OPTIONS", "/works", preflight | {"Access-Control-Request-Headers": "x-anything"}),
        ("GET", "/fails", {}),
        ("GET", "/refuses", {}),
    ):
        response = await running.http.request(method, path, headers=headers)
        assert response.status_code >= 400, (method, path)
        assert "json" in response.headers["content-type"], (method, path)
        assert response.json()["errors"][0]["extensions"]["code"], (method, path)
        assert all(name in response.headers for name in SAFE), (method, path)


async def test_a_connection_that_has_closed_is_gone_at_once(running: RunningEdge) -> None:
    """It does not lead back to itself, or all that it last said and heard would wait for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        async with connected(running.origin) as line:
            line.writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert (await line.answer())[0] == 404
        for _ in range(100):
            await asyncio.sleep(0.02)
            left = [one for one in gc.get_objects() if type(one) is CarefulHttp]
            if not left:
                break
    finally:
        gc.enable()
    assert left == []
