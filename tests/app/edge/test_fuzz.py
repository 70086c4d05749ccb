"""Whatever is sent: never a 5xx, never an unhandled exception, always a code."""

import asyncio
from typing import Any

import httpx
import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.faults import BadRequest
from app.negotiation import choose_media_type
from app.operations import read_operation, read_time_asked
from app.socket_messages import find_fault
from tests.app.edge.conftest import Edge

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.text(alphabet='{}()[]:,$@!."#quickitemfirst0 1\n', max_size=60) | st.sampled_from(
    [
        "{quick}",
        "query A {quick}",
        "{item {number}}",
        "{fails}",
        "subscription {count {number}}",
        "{__schema {types {name}}}",
    ]
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "query": DOCUMENTS | JSON,
        "variables": JSON,
        "operationName": st.sampled_from(["A", ""]) | JSON,
        "extensions": JSON,
    },
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["connection_init", "subscribe", "complete", "ping", "pong", "next"]) | JSON,
        "id": st.text(max_size=3) | JSON,
        "payload": REQUESTS | JSON,
    },
)
BODIES = st.binary(max_size=60) | JSON.map(orjson.dumps) | REQUESTS.map(orjson.dumps)
FRAMES = BODIES | st.text(max_size=30) | MESSAGES.map(lambda message: orjson.dumps(message).decode())

ACCEPTED = ["application/json", "text/event-stream", "*/*"]

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(JSON | REQUESTS)
def test_any_json_is_read_as_an_operation_or_refused(asked: Any) -> None:
    """Nothing in between; what is read has the right types."""
    try:
        read = read_operation(asked)
    except BadRequest:
        return
    assert isinstance(read.query, str)
    assert isinstance(read.variables, (dict, type(None)))
    assert read.operation_name is None or read.operation_name


@given(JSON | MESSAGES)
def test_any_json_is_judged_as_a_socket_message(message: Any) -> None:
    """A reason, short enough for a close frame's limit once cut, or none."""
    assert isinstance(find_fault(message), (str, type(None)))


@given(st.text(max_size=60) | st.text(alphabet="application/json*text, ;q=0.1graphql-response+", max_size=80))
def test_any_accept_header_is_answered_or_refused(accept: str) -> None:
    """With one of three types, or 406."""
    try:
        assert choose_media_type(accept) in (
            "application/json",
            "application/graphql-response+json",
            "text/event-stream",
        )
    except BadRequest as error:
        assert error.status == 406


@given(st.text(max_size=20) | st.integers().map(str))
def test_any_time_header_is_read_or_refused(header: str) -> None:
    """What is read is at least a millisecond."""
    try:
        asked = read_time_asked(header)
    except BadRequest:
        return
    assert asked is not None
    assert asked.total_seconds() >= 0.001


async def test_random_bodies_are_never_a_server_error(edge: Edge) -> None:
    """Nor is any answer without GraphQL's shape."""
    running = await edge()

    @FEW
    @given(
        st.lists(BODIES, min_size=10, max_size=10), st.sampled_from(["application/json", "text/event-stream", "*/*"])
    )
    def ask(bodies: list[bytes], accept: str) -> None:
        with httpx.Client(base_url=running.origin, timeout=10) as http:
            for body in bodies:
                headers = {"Content-Type": "application/json", "Accept": accept}
                answer = http.post("/graphql", content=body, headers=headers)
                assert answer.status_code < 500, (body, answer.text)
                if answer.headers["content-type"].startswith("application/"):
                    assert answer.json().keys() & {"data", "errors"}

    await in_thread(ask)


async def test_random_frames_are_never_an_unhandled_exception(edge: Edge, logged: Any) -> None:
    """The socket answers or closes with a code of the protocol."""
    running = await edge()
    url = running.origin.replace("http", "ws", 1) + "/graphql"
    codes: set[int] = set()

    async def say(frames: list[str | bytes]) -> None:
        async with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]  # a NewType
            try:
                await socket.send('{"type":"connection_init"}')
                for frame in frames:
                    await socket.send(frame)
                await socket.send('{"type":"nonsense"}')
                while True:
                    await socket.recv()
            except ConnectionClosed as closed:
                assert closed.rcvd is not None
                codes.add(closed.rcvd.code)

    @FEW
    @given(st.lists(FRAMES, min_size=1, max_size=6))
    def speak(frames: list[str | bytes]) -> None:
        asyncio.run(say(frames))

    await in_thread(speak)
    assert codes <= {4400, 4401, 4403, 4409, 4429}
    assert not [event for event in logged if event["log_level"] == "error" and event["event"] != "unforeseen error"]


async def in_thread(test: Any) -> None:
    """Run a generated test beside the loop that serves it."""
    await asyncio.to_thread(test)
