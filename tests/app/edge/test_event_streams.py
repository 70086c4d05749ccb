"""Server-sent events, by graphql-sse's distinct mode."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from app.auth import Authenticator
from app.options import EdgeOptions
from services.backends.database import Database
from tests.app.edge.conftest import Edge, RunningEdge
from tests.app.edge.small_edge import SECRET, small_schema

MakeKey = Callable[..., Awaitable[str]]


class Events:
    """What comes down a stream, one piece at a time."""

    def __init__(self, pieces: AsyncIterator[str]) -> None:
        self._pieces = pieces

    async def next(self) -> tuple[str, Any]:
        """The next event's name and data; a comment's name is empty."""
        name, data = "", ""
        while line := await asyncio.wait_for(anext(self._pieces), 5):
            key, _, value = line.partition(":")
            if key == "event":
                name = value.strip()
            if key == "data":
                data = value.strip()
        return name, orjson.loads(data) if data else None

    async def rest(self) -> list[tuple[str, Any]]:
        """Everything up to and with `complete`, without comments."""
        async with asyncio.timeout(30):  # comments would keep a stream alive for ever that should end
            heard = [await self.next()]
            while heard[-1][0] != "complete":
                heard.append(await self.next())
        return [event for event in heard if event[0]]


@asynccontextmanager
async def streaming(running: RunningEdge, query: str, **headers: str) -> AsyncIterator[Events]:
    """An operation asked with `Accept: text/event-stream`."""
    request = running.http.stream(
        "POST", "/graphql", json={"query": query}, headers={"Accept": "text/event-stream"} | headers
    )
    async with request as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "no-cache" in response.headers["cache-control"]
        yield Events(response.aiter_lines())


async def test_subscription_streams_next_events_and_completes(edge: Edge) -> None:
    """The last event is always `complete`."""
    async with streaming(await edge(), "subscription {count(to: 2) {number}}") as events:
        assert await events.rest() == [
            ("next", {"data": {"count": {"number": 0}}}),
            ("next", {"data": {"count": {"number": 1}}}),
            ("complete", None),
        ]


async def test_query_streams_its_one_result(edge: Edge) -> None:
    """Any operation may be asked so."""
    running = await edge()
    for query, data in (("{quick}", {"quick": "done"}), ('mutation {write(note: "x")}', {"write": "x"})):
        async with streaming(running, query) as events:
            assert await events.rest() == [("next", {"data": data}), ("complete", None)]


async def test_get_streams_what_changes_nothing(edge: Edge, database: Database) -> None:
    """A stream has begun before anybody knows what is asked: a mutation is refused by its one event, and not run."""
    running = await edge()
    written = 'mutation M {write(note: "x")}'
    told = []
    for asked in (
        {"query": "{quick}"},
        {"query": "subscription {count(to: 1) {number}}"},
        {"query": written},
        {"query": f"query Q {{quick}} {written}", "operationName": "M"},
    ):
        headers = {"Accept": "text/event-stream", "X-Crier-Client": "test"}
        async with running.http.stream("GET", "/graphql", params=asked, headers=headers) as response:
            [*results, end] = await Events(response.aiter_lines()).rest()
        assert end == ("complete", None)
        told.append([result.get("data") or result["errors"][0]["extensions"]["code"] for _, result in results])
    assert told == [[{"quick": "done"}], [{"count": {"number": 0}}], ["BAD_REQUEST"], ["BAD_REQUEST"]]
    async with database.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one() == 0


@pytest.mark.parametrize(
    ("query", "code"),
    [("{", "PARSE_FAILED"), ("{nope}", "VALIDATION_FAILED"), ("subscription {streamFails}", "INTERNAL")],
)
async def test_errors_come_as_events_with_codes(edge: Edge, query: str, code: str) -> None:
    """Before the stream begins, or in its middle."""
    async with streaming(await edge(), query) as events:
        heard = await events.rest()
    assert heard[-2][1]["errors"][0]["extensions"]["code"] == code
    assert SECRET not in str(heard)


async def test_refusals_before_the_operation_are_plain_json(edge: Edge) -> None:
    """With their own status."""
    response = await (await edge()).ask(
        "{quick}", headers={"Accept": "text/event-stream", "Authorization": "Bearer nonsense"}
    )
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_stream_is_only_for_those_who_name_it(edge: Edge) -> None:
    """`*/*` is no wish for a stream."""
    response = await (await edge()).ask("{quick}", headers={"Accept": "*/*, text/*"})
    assert response.headers["content-type"].startswith("application/")


async def test_quiet_stream_is_kept_alive_by_comments(edge: Edge) -> None:
    """So that no proxy takes it for dead."""
    running = await edge(options=EdgeOptions(heartbeat_every=timedelta(seconds=0.05)))
    async with streaming(running, "subscription {forever}") as events:
        assert (await events.next())[0] == "next"
        assert await events.next() == ("", None)
        assert await events.next() == ("", None)


async def test_client_that_leaves_ends_its_operation(edge: Edge) -> None:
    """Its context is closed and its place is free."""
    running = await edge(schema=small_schema(most_subscriptions=1))
    async with streaming(running, "subscription {forever}") as events:
        await events.next()
    while not all(context.closed for context in running.edge.contexts):
        await asyncio.sleep(0.01)
    async with streaming(running, "subscription {count(to: 1) {number}}") as events:
        assert (await events.next())[1] == {"data": {"count": {"number": 0}}}


async def test_shutdown_completes_streams(edge: Edge) -> None:
    """Politely: the client hears `complete` and asks again elsewhere."""
    running = await edge()
    async with streaming(running, "subscription {forever}") as events:
        await events.next()
        await running.edge.streams.close_all()
        assert await events.next() == ("complete", None)


async def test_revoked_credential_ends_the_stream(edge: Edge, a_key: MakeKey, database: Database) -> None:
    """With UNAUTHENTICATED as its last word."""
    authenticator = Authenticator(
        database=database, jwts=None, now=lambda: datetime.now(UTC), clock=lambda: 100 * time.monotonic()
    )
    running = await edge(options=EdgeOptions(heartbeat_every=timedelta(seconds=0.1)), authenticator=authenticator)
    async with streaming(running, "subscription {forever}", Authorization=f"Bearer {await a_key()}") as events:
        await events.next()
        async with database.connect() as connection:
            await connection.execute(text("UPDATE api_keys SET revoked_at = now()"))
        heard = await events.rest()
    assert heard[-2][1]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
