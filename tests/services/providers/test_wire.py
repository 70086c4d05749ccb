"""Networks fail in known ways: whether the request left decides everything after."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.publishing import FailureKind
from services.providers.failures import NotDone
from services.providers.wire import LONGEST_WAIT, Reply, Wire, hide_query, open_http, told_wait

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _server(answer: Answering) -> AsyncIterator[str]:
    """A TCP server that treats each connection so; gives its address."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/path"
    finally:
        server.close()


async def _drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def _half_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id"')
    await writer.drain()
    writer.close()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.CancelledError)):
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("answer", [_drop, _half_answer, _drip])
async def test_request_that_left_without_an_answer_is_uncertain(answer: Answering) -> None:
    """Cut before or within the answer, or an answer that never ends: the platform may have done it."""
    async with _server(answer) as url, open_http() as http:
        outcome = await Wire(http=http, timeout=timedelta(milliseconds=300)).send("POST", url)

    assert isinstance(outcome, NotDone)
    assert (outcome.is_certain, outcome.was_answered) == (False, False)
    assert (outcome.failure.kind, outcome.failure.left) == (FailureKind.RETRY, True)


async def test_refused_connection_never_left() -> None:
    """Nobody listens: nothing happened."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with open_http() as http:
            outcome = await Wire(http=http).send("POST", f"http://127.0.0.1:{unused.getsockname()[1]}/")

    assert isinstance(outcome, NotDone)
    assert (outcome.is_certain, outcome.failure.left) == (True, False)


async def test_header_that_cannot_be_sent_is_told_without_its_content() -> None:
    """A stored token with a line break in it must not get into a message."""
    async with _server(_drop) as url, open_http() as http:
        outcome = await Wire(http=http).send("GET", url, headers={"Authorization": "Bearer s3c\nr3t"})

    assert isinstance(outcome, NotDone)
    assert "s3c" not in repr(outcome)


async def test_redirect_is_an_answer_and_not_followed() -> None:
    """308 means `go on` to YouTube; elsewhere a token must not follow a Location."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(308, headers={"location": "/x"})))

    outcome = await Wire(http=http).send("PUT", "https://platform.example/")

    assert isinstance(outcome, Reply)
    assert outcome.status == 308


@given(seconds=st.integers(0, 10**9))
def test_retry_after_is_read_as_seconds_and_as_a_date(seconds: int) -> None:
    """Both forms of the same wait agree, and neither exceeds a day."""
    expected = min(timedelta(seconds=seconds), LONGEST_WAIT)
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

    assert told_wait({"retry-after": str(seconds)}, NOW) == expected
    assert told_wait({"retry-after": date}, NOW) == expected


@given(st.text(max_size=30))
def test_retry_after_that_is_neither_is_ignored(text: str) -> None:
    """Nothing that a header holds raises."""
    wait = told_wait({"retry-after": text, "x-business-use-case-usage": text}, NOW)

    assert wait is None or timedelta(0) <= wait <= LONGEST_WAIT


def test_longest_estimate_of_all_use_cases_counts() -> None:
    """Instagram and Pages may be limited apart from each other."""
    usage = '{"1":[{"type":"pages","estimated_time_to_regain_access":3}],"2":[{"estimated_time_to_regain_access":9}]}'

    assert told_wait({"x-business-use-case-usage": usage}, NOW) == timedelta(minutes=9)
    assert told_wait({"x-business-use-case-usage": usage, "retry-after": "600"}, NOW) == timedelta(minutes=10)
    assert told_wait({"x-business-use-case-usage": '{"1":[{"estimated_time_to_regain_access":0}]}'}, NOW) is None


def test_logged_address_has_no_query() -> None:
    """The client logs whole addresses; what follows the path may be a secret."""
    url = httpx.URL("https://graph.example/token?client_secret=hush")
    record = logging.LogRecord("httpx", logging.INFO, "", 1, "HTTP Request: %s %s", ("GET", url), None)

    assert hide_query(record)
    assert record.getMessage() == "HTTP Request: GET https://graph.example/token"
