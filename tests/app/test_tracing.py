"""Traces, as a collector receives them: real OTLP over HTTP, from real requests and publications."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from inspect import iscoroutinefunction
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.trace import NoOpTracer
from starlette.types import ASGIApp
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from app.api import open_api
from app.backends import open_backends
from app.container import Container
from app.settings import Settings
from app.tracing import open_tracing
from app.tracing.statements import traced_connection
from services.backends.redis import RedisGate
from services.backends.statements import BoundedConnection
from services.domain.accounts import Account, Platform
from services.domain.ids import Kind, encode_id
from services.domain.posts import TargetStatus
from services.publishing.publisher import Publisher
from tests.app.scraping import a_token
from tests.rig import KEY, Rig, now
from tests.serving import served

CAPTION = "A caption that is nobody else's business"
SCHEDULE = """mutation Plan($input: SchedulePostInput!) {
  schedulePost(input: $input) { post { id } userErrors { code message field } }
}"""


class Collector:
    """What was exported."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> list[Span]:
        """All spans."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> Span:
        """The one span of this name."""
        [span] = [span for span in self.spans if span.name == name]
        return span

    def within(self, root: Span) -> list[str]:
        """The names of all spans that have `root` above them, in the order of their beginnings."""
        parents = {span.span_id: span.parent_span_id for span in self.spans}

        def is_within(span: Span) -> bool:
            above = span.parent_span_id
            while above and above != root.span_id:
                above = parents.get(above, b"")
            return above == root.span_id

        found = [span for span in self.spans if is_within(span)]
        assert {span.trace_id for span in found} <= {root.trace_id}
        return [span.name for span in sorted(found, key=lambda span: span.start_time_unix_nano)]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@asynccontextmanager
async def traced_app(rig: Rig, endpoint: str) -> AsyncIterator[tuple[Rig, ASGIApp]]:
    """The rig's process, traced; what it saw is with the collector when the block has ended."""
    settings = rig.container.settings.model_copy(update={"otel_exporter_otlp_endpoint": endpoint})
    endpoints = rig.container.endpoints
    async with open_tracing(settings) as parts, open_backends(settings, endpoints, parts) as backends:
        container = Container(settings, endpoints, (KEY,), backends, parts=parts)
        async with open_api(container) as api:
            yield Rig(container, rig.sandbox, rig.worker_id), api.app


@asynccontextmanager
async def traced(rig: Rig, endpoint: str) -> AsyncIterator[tuple[Rig, httpx.AsyncClient]]:
    """The same, and a client that asks it."""
    async with traced_app(rig, endpoint) as (there, app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://crier.test", timeout=20) as http:
            yield there, http


def an_input(account: Account) -> dict[str, Any]:
    """The input of a post that waits for an hour."""
    return {
        "caption": CAPTION,
        "accountIds": [encode_id(Kind.ACCOUNT, account.id)],
        "scheduledAt": (now() + timedelta(hours=1)).isoformat(),
    }


async def test_a_request_and_its_publication_are_two_traces_with_a_link(rig: Rig) -> None:
    """From the mutation through its statements and Redis to the commit; the publication shows each step."""
    ada = await rig.add_user()
    account = await rig.add_account(ada, Platform.FACEBOOK)
    token = await a_token(rig, ada)
    given = an_input(account)
    with collecting() as collector:
        async with traced(rig, collector.url) as (there, http):
            await there.container.worker()._until_due()  # a worker's look is no trace
            answer = await http.post(
                "/graphql",
                json={"query": SCHEDULE, "variables": {"input": given}},
                headers={"Authorization": f"Bearer {token}"},
            )
            assert answer.json()["data"]["schedulePost"]["userErrors"] == []
            await there.hurry()
            await there.publish(there.container.publisher, there.container.claimer)
            await http.get("/metrics")

    request = collector.named("mutation schedulePost")
    within = collector.within(request)
    assert [name for name in within if name in ("BEGIN", "COMMIT")] == ["BEGIN", "COMMIT"]
    assert "INSERT" in within[within.index("BEGIN") : within.index("COMMIT")]
    assert any(name.startswith("redis") for name in within[within.index("COMMIT") :])
    assert {entry.key: entry.value.string_value for entry in request.attributes}["graphql.operation.name"] == "Plan"

    publication = collector.named("publish FACEBOOK")
    assert publication.trace_id != request.trace_id
    [link] = publication.links
    assert (link.trace_id, link.span_id) == (request.trace_id, request.span_id)
    steps = collector.within(publication)
    assert "FACEBOOK publish_post" in steps
    assert steps.index("FACEBOOK publish_post") < len(steps) - 1 - steps[::-1].index("COMMIT")
    assert {span.trace_id for span in collector.spans} == {request.trace_id, publication.trace_id}

    exported = b"".join(collector.bodies)
    for secret in (CAPTION, token, account.external_id):
        assert secret.encode() not in exported


async def test_a_clients_trace_goes_on_here(rig: Rig) -> None:
    """By W3C's header; a page's one statement is in it; what is theirs to mend is not marked as a failure of ours."""
    ada = await rig.add_user()
    authorized = {"Authorization": f"Bearer {await a_token(rig, ada)}"}
    header = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    with collecting() as collector:
        async with traced(rig, collector.url) as (_, http):
            await http.post("/graphql", json={"query": "{ viewer { id } }"}, headers=header)
            await http.post("/graphql", json={"query": "{ posts { nodes { id } } }"}, headers=authorized)
    theirs = collector.named("query viewer")
    assert theirs.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert theirs.parent_span_id.hex() == "00f067aa0ba902b7"
    assert theirs.status.code == 0
    assert "SELECT" in collector.within(collector.named("query posts"))[1:]  # the first looks at the key


async def test_operations_of_a_socket_are_spans_within_its_own(rig: Rig) -> None:
    """Each with its statements and calls, and with nothing of the others; a post is linked to the one that scheduled
    it."""
    ada = await rig.add_user()
    account = await rig.add_account(ada, Platform.FACEBOOK)
    token = await a_token(rig, ada)
    given = an_input(account)
    asked = {
        "1": {"query": SCHEDULE, "variables": {"input": given}},
        "2": {"query": "query Mine { viewer { id } posts { nodes { caption } } }"},
        "3": {"query": "{ nothing }"},
    }
    with collecting() as collector:
        async with traced_app(rig, collector.url) as (there, app):
            protocol = Subprotocol("graphql-transport-ws")
            async with (
                served(app) as origin,
                connect(f"{origin.replace('http', 'ws', 1)}/graphql", subprotocols=[protocol]) as socket,
            ):
                hello = {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}
                await socket.send(json.dumps(hello))
                for id_, payload in asked.items():
                    await socket.send(json.dumps({"type": "subscribe", "id": id_, "payload": payload}))
                ended: set[str] = set()
                while ended != set(asked):
                    message = json.loads(await asyncio.wait_for(socket.recv(), 20))
                    ended |= {message["id"]} if message["type"] in ("complete", "error") else set()
            await there.hurry()
            await there.publish(there.container.publisher, there.container.claimer)

    socket_span = collector.named("WEBSOCKET /graphql")
    mutation, query = collector.named("mutation schedulePost"), collector.named("query several")
    refused = collector.named("operation")
    for operation in (mutation, query, refused):
        assert (operation.trace_id, operation.parent_span_id) == (socket_span.trace_id, socket_span.span_id)
        assert operation.status.code == 0
    within = collector.within(mutation)
    assert [name for name in within if name in ("BEGIN", "COMMIT")] == ["BEGIN", "COMMIT"]
    assert "INSERT" in within[within.index("BEGIN") : within.index("COMMIT")]
    assert "SELECT" in collector.within(query)
    assert "INSERT" not in collector.within(query)
    shown = {entry.key: entry.value for entry in mutation.attributes}
    assert shown["graphql.operation.name"].string_value == "Plan"
    told = {entry.key: entry.value for entry in refused.attributes}
    assert [code.string_value for code in told["crier.codes"].array_value.values] == ["VALIDATION_FAILED"]
    [link] = collector.named("publish FACEBOOK").links
    assert (link.trace_id, link.span_id) == (mutation.trace_id, mutation.span_id)
    assert CAPTION.encode() not in b"".join(collector.bodies)


async def test_a_collector_that_is_away_costs_nobody_anything(rig: Rig) -> None:
    """Requests are answered as ever, and the end of the process waits for it only so long."""
    async with traced(rig, "http://127.0.0.1:1") as (_, http):
        assert (await http.post("/graphql", json={"query": "{ health { status } }"})).status_code == 200
        began = time.monotonic()
    assert time.monotonic() - began < 8


async def test_a_failed_publication_says_why(rig: Rig) -> None:
    """The step's outcome and the code; a second attempt is a trace of its own with the same link."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    rig.sandbox.arm("facebook.feed", status=500)
    with collecting() as collector:
        async with traced(rig, collector.url) as (there, _):
            post = await there.schedule_due(ada, account)
            [claim] = await there.container.claimer.claim_due(there.worker_id, limit=5)
            await there.container.publisher.publish(claim)
            assert (await there.target(post)).status is TargetStatus.RETRYING
    span = collector.named("publish FACEBOOK")
    attributes = {entry.key: entry.value.string_value for entry in span.attributes}
    assert (attributes["crier.outcome"], attributes["error.type"]) == ("FAILED", "PLATFORM_ERROR")
    assert span.status.code == 2
    assert list(span.links) == []  # nobody traced whoever scheduled it


def test_every_road_to_the_server_is_traced() -> None:
    """A way to run statements that is added to connections, and not to traced ones, would show nothing and say so
    nowhere."""
    roads = {name for name, member in vars(BoundedConnection).items() if iscoroutinefunction(member)}
    traced = vars(traced_connection(NoOpTracer()))
    assert roads - {"close", "still_works"} <= set(traced)


def test_nothing_of_it_is_imported_where_traces_are_off() -> None:
    """An API process and a worker are built whole without our tracing, and without a module of OpenTelemetry's, which
    redis-py would load by itself."""
    program = """
import sys
import app.api, app.processes, app.container, app.worker, app.local
from app.settings import read_settings
assert read_settings().traces_endpoint is None
app.processes.parts_of(read_settings())
print([name for name in sys.modules if name.startswith(("app.tracing", "opentelemetry"))])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


async def test_untraced_parts_are_the_plain_ones(rig: Rig) -> None:
    """Not a subclass, not a wrapper."""
    assert type(rig.container.backends.gate) is RedisGate
    assert type(rig.container.publisher) is Publisher
    assert rig.container.backends.database._connector._connection_class is BoundedConnection


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"otel_exporter_otlp_endpoint": "http://c:4318/"}, "http://c:4318/v1/traces"),
        ({"otel_exporter_otlp_traces_endpoint": "http://c:4318/x"}, "http://c:4318/x"),
        ({"otel_exporter_otlp_endpoint": "http://c:4318", "otel_sdk_disabled": True}, None),
    ],
)
def test_the_standard_variables_decide(given: dict[str, Any], expected: str | None) -> None:
    """As OpenTelemetry's own documents have them."""
    assert Settings(**given).traces_endpoint == expected
