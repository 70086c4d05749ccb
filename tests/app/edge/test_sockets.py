"""graphql-transport-ws over real sockets."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.auth import Authenticator
from app.options import EdgeOptions
from app.sockets import SocketHandler
from services.backends.database import Database
from tests.app.edge.conftest import Edge, RunningEdge
from tests.app.edge.small_edge import PLACES, SECRET, small_schema

MakeKey = Callable[..., Awaitable[str]]


class Socket:
    """A client that speaks in dicts."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        """Send one message."""
        await self.connection.send(orjson.dumps(message).decode())

    async def hear(self) -> dict[str, Any]:
        """The next message, which has to be text."""
        frame = await asyncio.wait_for(self.connection.recv(), 5)
        assert isinstance(frame, str)
        return orjson.loads(frame)  # type: ignore[no-any-return]

    async def start(self, **payload: Any) -> None:
        """Get acknowledged."""
        await self.say(type="connection_init", payload=payload)
        assert await self.hear() == {"type": "connection_ack"}

    async def subscribe(self, query: str, id: str = "1", **payload: Any) -> None:  # noqa: A002 — the protocol's name
        """Begin an operation."""
        await self.say(type="subscribe", id=id, payload={"query": query, **payload})

    async def hear_all(self) -> list[dict[str, Any]]:
        """Every message up to the end of one operation."""
        heard = [await self.hear()]
        while heard[-1]["type"] not in ("complete", "error"):
            heard.append(await self.hear())
        return heard

    async def end(self) -> tuple[int, str]:
        """The code and the reason with which the server closes."""
        try:
            while True:
                await asyncio.wait_for(self.connection.recv(), 5)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code, closed.rcvd.reason


@asynccontextmanager
async def opened(running: RunningEdge, **options: Any) -> AsyncIterator[Socket]:
    """A socket to the endpoint."""
    url = running.origin.replace("http", "ws", 1) + "/graphql"
    async with connect(url, **({"subprotocols": ["graphql-transport-ws"]} | options)) as connection:
        yield Socket(connection)


@pytest.fixture
async def running(edge: Edge) -> RunningEdge:
    """An edge as it comes."""
    return await edge()


async def test_subscription_gives_its_events_and_completes(running: RunningEdge) -> None:
    """As text frames, which the official clients need."""
    async with opened(running) as socket:
        await socket.start()
        await socket.subscribe("subscription {count(to: 2) {number}}")
        assert await socket.hear_all() == [
            {"id": "1", "type": "next", "payload": {"data": {"count": {"number": 0}}}},
            {"id": "1", "type": "next", "payload": {"data": {"count": {"number": 1}}}},
            {"id": "1", "type": "complete"},
        ]


async def test_queries_and_mutations_run_over_a_socket_too(running: RunningEdge) -> None:
    """With variables and an operation name."""
    async with opened(running) as socket:
        await socket.start()
        query = "query A {quick} query B ($n: Int!) {item(number: $n) {number}}"
        await socket.subscribe(query, variables={"n": 5}, operationName="B")
        assert (await socket.hear_all())[0]["payload"] == {"data": {"item": {"number": 5}}}
        await socket.subscribe('mutation {write(note: "x")}', id="2")
        assert (await socket.hear_all())[0]["payload"] == {"data": {"write": "x"}}


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nonsense",
        "[]",
        "1",
        "null",
        '"connection_init"',
        "{}",
        '{"type": 1}',
        '{"type": ["subscribe"]}',
        '{"type": "nonsense"}',
        '{"type": "next", "id": "1", "payload": {}}',
        '{"type": "ping", "payload": 1}',
        '{"type": "pong", "payload": []}',
        '{"type": "complete"}',
        '{"type": "complete", "id": 1}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{quick}"}}',
        '{"type": "subscribe", "id": [1], "payload": {"query": "{quick}"}}',
        '{"type": "subscribe", "id": "1", "payload": []}',
        '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{quick}", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{quick}", "operationName": {}}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{quick}", "extensions": 1}}',
        b'{"type": "ping"}',
        b"\x00\xff",
        "[" * 5_000,
    ],
)
async def test_malformed_message_closes_with_4400(running: RunningEdge, logged: Any, frame: str | bytes) -> None:
    """Every one, after `connection_init`; and nothing is logged as an error."""
    async with opened(running) as socket:
        await socket.start()
        await socket.connection.send(frame)
        code, reason = await socket.end()
    assert code == 4400
    assert reason
    assert not [event for event in logged if event["log_level"] == "error"]


@pytest.mark.parametrize("payload", [1, [], "x", False, 0, ""])
async def test_malformed_connection_init_closes_with_4400(running: RunningEdge, payload: Any) -> None:
    """Its payload is an object, null or absent."""
    async with opened(running) as socket:
        await socket.say(type="connection_init", payload=payload)
        assert (await socket.end())[0] == 4400


async def test_payload_of_null_is_as_if_left_out(running: RunningEdge) -> None:
    """As the protocol's own server has it: whoever writes messages from types sends what is not there as null."""
    async with opened(running) as socket:
        await socket.say(type="connection_init", payload=None)
        assert await socket.hear() == {"type": "connection_ack"}
        await socket.say(type="pong", payload=None)
        await socket.say(type="ping", payload=None)
        assert await socket.hear() == {"type": "pong"}
        await socket.subscribe("{quick}", variables=None, operationName=None, extensions=None)
        assert (await socket.hear_all())[0]["payload"] == {"data": {"quick": "done"}}


async def test_nothing_that_follows_a_malformed_message_is_run(running: RunningEdge) -> None:
    """The socket is closed, whatever was in flight behind it."""
    async with opened(running) as socket:
        await socket.start()
        await socket.connection.send("nonsense")
        await socket.subscribe('mutation {write(note: "x")}')
        assert (await socket.end())[0] == 4400
    assert not running.edge.contexts


async def test_operation_before_connection_init_closes_with_4401(running: RunningEdge) -> None:
    """Nobody is served who has not said who they are, or that they are nobody."""
    async with opened(running) as socket:
        await socket.subscribe("{quick}")
        assert (await socket.end())[0] == 4401


async def test_silence_closes_with_4408(edge: Edge) -> None:
    """A socket without `connection_init` costs something, but not for long."""
    running = await edge(options=EdgeOptions(init_patience=timedelta(seconds=0.1)))
    async with opened(running) as socket:
        assert (await socket.end())[0] == 4408


async def test_second_connection_init_closes_with_4429(running: RunningEdge) -> None:
    """One is enough."""
    async with opened(running) as socket:
        await socket.start()
        await socket.say(type="connection_init")
        assert (await socket.end())[0] == 4429


async def test_two_operations_of_one_id_close_with_4409(running: RunningEdge) -> None:
    """While the first still runs; afterwards the id is free."""
    async with opened(running) as socket:
        await socket.start()
        await socket.subscribe("{quick}")
        await socket.hear_all()
        await socket.subscribe("subscription {forever}")
        await socket.subscribe("subscription {forever}")
        assert (await socket.end())[0] == 4409


@pytest.mark.parametrize("subprotocols", [None, ["graphql-ws"], ["chat"]])
async def test_unknown_subprotocol_closes_with_4406(running: RunningEdge, subprotocols: Any) -> None:
    """The legacy protocol among them."""
    async with opened(running, subprotocols=subprotocols) as socket:
        assert (await socket.end())[0] == 4406


async def test_large_message_closes_with_1009(edge: Edge) -> None:
    """The same bound as for a request's body."""
    running = await edge(options=EdgeOptions(most_body_bytes=1_000))
    async with opened(running) as socket:
        await socket.start()
        await socket.subscribe("{quick}" + " " * 1_000)
        assert (await socket.end())[0] == 1009
    async with opened(await edge()) as socket:
        await socket.start()
        await socket.subscribe("{quick}" + "," * 100_000)
        assert (await socket.end())[0] == 1009


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x82\0\0\0\0\xff\xfe", 1007),
        (b"\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0\x28", 1007),
        (b"\x81\x02{}", 1002),
        (b"\xf1\x82\0\0\0\0{}", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x80\x80\0\0\0\0", 1002),
        (b"\x89\xfe\0\x7e\0\0\0\0" + bytes(126), 1002),
        (b"\x81\xff" + (1 << 21).to_bytes(8, "big") + bytes(4), 1009),
    ],
    ids=[
        "no text",
        "no text in pieces",
        "unmasked",
        "reserved bits",
        "unknown kind",
        "no beginning",
        "long ping",
        "huge",
    ],
)
async def test_frame_that_is_none_closes_with_the_code_of_websockets(
    running: RunningEdge, logged: Any, caplog: pytest.LogCaptureFixture, frame: bytes, code: int
) -> None:
    """And fills no log: whoever can reach the socket may send them, as many as they like."""
    async with opened(running) as socket:
        await socket.start()
        await socket.subscribe("subscription {forever}")
        socket.connection.transport.write(frame)
        assert (await socket.end())[0] == code
    while len(running.edge.streams):
        await asyncio.sleep(0.01)
    assert [event for event in logged if event["log_level"] in ("warning", "error")] == []
    assert caplog.records == []


async def test_foreign_origin_is_refused_unless_configured(edge: Edge) -> None:
    """A page elsewhere cannot open a socket in somebody's browser."""
    running = await edge()
    with pytest.raises(InvalidStatus, match="403"):
        async with opened(running, origin="https://evil.example"):
            pass
    friendly = await edge(options=EdgeOptions(cors_origins=("https://friend.example",)))
    async with opened(friendly, origin="https://friend.example") as socket:
        await socket.start()


async def test_ping_is_answered_with_pong(running: RunningEdge) -> None:
    """Even before anybody has said who they are; an unasked pong is fine."""
    async with opened(running) as socket:
        await socket.say(type="ping")
        assert await socket.hear() == {"type": "pong"}
        await socket.say(type="pong", payload={})
        await socket.say(type="ping", payload={"x": 1})
        assert await socket.hear() == {"type": "pong"}


async def test_request_errors_come_as_error_messages_with_codes(running: RunningEdge) -> None:
    """A syntax error, a rule, a limit, an ambiguous or unknown operation: the socket lives on."""
    async with opened(running) as socket:
        await socket.start()
        for query, more, code in (
            ("{", {}, "PARSE_FAILED"),
            ("{nope}", {}, "VALIDATION_FAILED"),
            ("{" + "quick " * 3_000 + "}", {}, "QUERY_TOO_COMPLEX"),
            ("query A {quick} query B {quick}", {}, "BAD_REQUEST"),
            ("query A {quick}", {"operationName": "C"}, "BAD_REQUEST"),
            ("query explode_parse {quick}", {}, "INTERNAL"),
            ("query explode_before_operation {quick}", {}, "INTERNAL"),
        ):
            await socket.subscribe(query, **more)
            message = await socket.hear()
            assert message["type"] == "error"
            assert message["payload"][0]["extensions"]["code"] == code
            assert SECRET not in str(message)


async def test_field_errors_come_in_next_with_codes(running: RunningEdge) -> None:
    """Of queries, of a stream's events, and of a stream that breaks."""
    async with opened(running) as socket:
        await socket.start()
        for query in (
            "{fails}",
            "{failsWhole}",
            "{notJson {number}}",
            "subscription {count(to: 1) {broken}}",
            "subscription {streamFails}",
            "subscription {failsAtOnce}",
            "query explode_execute {quick}",
            "query explode_results {quick}",
        ):
            await socket.subscribe(query)
            heard = await socket.hear_all()
            assert "INTERNAL" in str(heard), query
            assert SECRET not in str(heard)


async def test_secret_never_leaves_by_socket(running: RunningEdge) -> None:
    """Wherever it is raised: INTERNAL, with the socket's correlation id, and the socket lives on."""
    async with opened(running, additional_headers={"X-Correlation-Id": "find-me"}) as socket:
        await socket.start()
        for place, asked in PLACES.items():
            await socket.subscribe(**asked)
            heard = str(await socket.hear_all())
            assert "INTERNAL" in heard, place
            assert "find-me" in heard, place
            assert SECRET not in heard, place


async def test_every_operation_has_a_context_of_its_own(running: RunningEdge) -> None:
    """So that nothing one has read is shown by the next; with an id that begins with the socket's."""
    async with opened(running, additional_headers={"X-Correlation-Id": "mine"}) as socket:
        await socket.start()
        for number in (1, 2):
            await socket.subscribe("{correlationId}")
            assert (await socket.hear_all())[0]["payload"]["data"] == {"correlationId": f"mine.{number}"}
    assert len(running.edge.contexts) == 2
    assert all(context.closed for context in running.edge.contexts)


async def test_complete_ends_an_operation_and_closes_its_context(running: RunningEdge) -> None:
    """The client has seen enough; the id is free again."""
    async with opened(running) as socket:
        await socket.start()
        await socket.subscribe("subscription {forever}")
        await socket.hear()
        await socket.say(type="complete", id="1")
        await socket.say(type="complete", id="unknown")
        await socket.subscribe("{quick}")
        assert (await socket.hear_all())[-1] == {"type": "complete", "id": "1"}
    assert all(context.closed for context in running.edge.contexts)


async def test_viewer_comes_from_connection_init(running: RunningEdge, a_key: MakeKey) -> None:
    """As it comes from the header over HTTP."""
    async with opened(running) as socket:
        await socket.start(authorization=f"Bearer {await a_key(name='Grace')}")
        await socket.subscribe("{viewerName}")
        assert (await socket.hear_all())[0]["payload"]["data"] == {"viewerName": "Grace"}


@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Basic x", "", 1, {}, None])
async def test_bad_credential_in_connection_init_closes_with_4403(running: RunningEdge, authorization: Any) -> None:
    """`null` is no credential at all, which is allowed."""
    async with opened(running) as socket:
        await socket.say(type="connection_init", payload={"authorization": authorization})
        if authorization is None:
            assert await socket.hear() == {"type": "connection_ack"}
            return
        assert (await socket.end())[0] == 4403


async def test_credential_that_expires_ends_the_socket_with_4403(edge: Edge, a_key: MakeKey) -> None:
    """At its own time, in the middle of a subscription."""
    running = await edge()
    token = await a_key(expires_at=datetime.now(UTC) + timedelta(seconds=0.6))
    async with opened(running) as socket:
        await socket.start(authorization=f"Bearer {token}")
        await socket.subscribe("subscription {forever}")
        assert (await socket.hear())["type"] == "next"
        assert (await socket.end())[0] == 4403


async def test_credential_that_is_revoked_ends_the_socket_with_4403(
    edge: Edge, a_key: MakeKey, database: Database
) -> None:
    """Found out by looking again."""
    authenticator = Authenticator(
        database=database, jwts=None, now=lambda: datetime.now(UTC), clock=lambda: 100 * time.monotonic()
    )
    running = await edge(options=EdgeOptions(recheck_every=timedelta(seconds=0.1)), authenticator=authenticator)
    async with opened(running) as socket:
        await socket.start(authorization=f"Bearer {await a_key()}")
        async with database.connect() as connection:
            await connection.execute(text("UPDATE api_keys SET revoked_at = now()"))
        assert (await socket.end())[0] == 4403


async def test_subscriptions_of_a_viewer_are_bounded_across_sockets(edge: Edge, a_key: MakeKey) -> None:
    """The one too many is refused with a code; one that ends makes room."""
    running = await edge(schema=small_schema(most_subscriptions=2))
    token = await a_key()
    async with opened(running) as one, opened(running) as two:
        for socket in (one, two):
            await socket.start(authorization=f"Bearer {token}")
            await socket.subscribe("subscription {forever}")
            assert "data" in (await socket.hear())["payload"]
        await two.subscribe("subscription {forever}", id="2")
        assert "RATE_LIMITED" in str(await two.hear_all())
        await one.say(type="complete", id="1")
        for attempt in range(100):
            await two.subscribe("subscription {count(to: 1) {number}}", id=f"again{attempt}")
            if "RATE_LIMITED" not in str(await two.hear_all()):
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("the place was never given back")


async def test_operations_of_a_socket_are_bounded(edge: Edge) -> None:
    """Queries count too while they run."""
    running = await edge(options=EdgeOptions(operations_per_socket=1))
    async with opened(running) as socket:
        await socket.start()
        await socket.subscribe("{asleep}")
        await socket.subscribe("{quick}", id="2")
        message = await socket.hear()
        assert (message["id"], message["type"]) == ("2", "error")
        assert message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_idle_socket_keeps_nothing_of_what_was_sent(running: RunningEdge) -> None:
    """Neither of its `connection_init`, nor of operations that were ended before they began."""
    filling = "kept" * 20_000
    async with opened(running) as socket:
        await socket.start(filling=filling, more=[filling] * 5)
        for _ in range(20):
            await socket.subscribe("{quick}", extensions={"filling": filling})
            await socket.say(type="complete", id="1")
        await socket.subscribe("{quick}", id="last")
        while (await socket.hear()) != {"type": "complete", "id": "last"}:
            pass
        [adapter] = running.edge.streams._sockets
        handlers = [each for each in gc.get_objects() if type(each) is SocketHandler]
        [handler] = [each for each in handlers if each.websocket is adapter]
        held = referents_of(handler._asked_extensions, vars(handler.context))
        assert filling not in held


def referents_of(*roots: Any) -> set[str]:
    """All texts that plain values lead to."""
    texts, stack = set(), list(roots)
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            texts.add(one)
        elif isinstance(one, dict):
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
    return texts


async def test_credential_of_any_length_is_no_credential(running: RunningEdge) -> None:
    """What is kept of each socket is bounded."""
    async with opened(running) as socket:
        await socket.say(type="connection_init", payload={"authorization": "Bearer " + "x" * 20_000})
        assert (await socket.end())[0] == 4403


async def test_shutdown_closes_sockets_with_1001(running: RunningEdge) -> None:
    """All of them, whatever they are doing; and none is left in the books."""
    async with opened(running) as busy, opened(running) as idle, opened(running) as fresh:
        await busy.start()
        await busy.subscribe("subscription {forever}")
        await busy.hear()
        await idle.start()
        assert len(running.edge.streams) == 3
        await running.edge.streams.close_all()
        assert {(await socket.end())[0] for socket in (busy, idle, fresh)} == {1001}
    while len(running.edge.streams):
        await asyncio.sleep(0.01)


async def test_event_that_is_too_slow_ends_in_timeout_and_the_stream_goes_on(edge: Edge) -> None:
    """Each event has its own time."""
    running = await edge(schema=small_schema(time_limit=timedelta(seconds=0.2)))
    async with opened(running) as socket:
        await socket.start()
        await socket.subscribe("subscription {count(to: 2) {number slow}}")
        heard = await socket.hear_all()
        assert [message["type"] for message in heard] == ["next", "next", "complete"]
        for number, message in enumerate(heard[:2]):
            assert message["payload"]["data"] == {"count": {"number": number, "slow": None}}
            assert message["payload"]["errors"][0]["extensions"]["code"] == "TIMEOUT"
