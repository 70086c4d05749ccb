"""GraphQL over HTTP, as its specification has it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.options import EdgeOptions
from tests.app.edge.conftest import Edge, RunningEdge
from tests.app.edge.small_edge import small_schema
from tests.schema.extensions.test_limits import Purse

GRAPHQL_JSON = "application/graphql-response+json"
PLAIN_JSON = "application/json"


def code_of(response: Any) -> str:
    """The code of an answer's first error."""
    return str(response.json()["errors"][0]["extensions"]["code"])


@pytest.fixture
async def running(edge: Edge) -> RunningEdge:
    """An edge as it comes."""
    return await edge()


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (PLAIN_JSON, PLAIN_JSON),
        (f"{GRAPHQL_JSON}; charset=utf-8, {PLAIN_JSON}; charset=utf-8", GRAPHQL_JSON),
        (f"{PLAIN_JSON}, {GRAPHQL_JSON}", PLAIN_JSON),
        (f"{GRAPHQL_JSON};q=0.5, {PLAIN_JSON};q=0.9", PLAIN_JSON),
        (f"{PLAIN_JSON};q=0, */*", GRAPHQL_JSON),
        ("*/*", GRAPHQL_JSON),
        ("application/*", GRAPHQL_JSON),
        (f"text/html, {PLAIN_JSON};q=0.1", PLAIN_JSON),
    ],
)
async def test_answer_comes_in_the_media_type_that_accept_prefers(
    running: RunningEdge, accept: str, given: str
) -> None:
    """The best of what the client takes, in UTF-8, and said so."""
    response = await running.ask("{quick}", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{given}; charset=utf-8"
    assert response.json() == {"data": {"quick": "done"}}


async def test_answer_without_accept_header_is_a_graphql_response(running: RunningEdge) -> None:
    """What the specification says since 2025."""
    request = running.http.build_request("POST", "/graphql", json={"query": "{quick}"})
    del request.headers["accept"]
    response = await running.http.send(request)
    assert response.headers["content-type"] == f"{GRAPHQL_JSON}; charset=utf-8"


async def test_accept_of_nothing_we_have_is_406(running: RunningEdge) -> None:
    """And says what there is."""
    response = await running.ask("{quick}", headers={"Accept": "text/csv"})
    assert (response.status_code, code_of(response)) == (406, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "PARSE_FAILED"),
        ("{nope}", "VALIDATION_FAILED"),
        ("query A {quick} query B {quick}", "BAD_REQUEST"),
        ("query ($v: Int!) {item(number: $v) {number}}", "VALIDATION_FAILED"),
        ("fragment F on Query {quick}", "BAD_REQUEST"),
    ],
)
async def test_request_error_is_400_in_the_new_media_type_and_200_in_the_old(
    running: RunningEdge, query: str, code: str
) -> None:
    """Nothing was run, so there is no `data` either way."""
    for accept, status in ((GRAPHQL_JSON, 400), (PLAIN_JSON, 200)):
        response = await running.ask(query, headers={"Accept": accept})
        assert (response.status_code, code_of(response)) == (status, code)
        assert "data" not in response.json()


async def test_field_error_is_200_with_partial_data(running: RunningEdge) -> None:
    """`data: null` by a field that may not be null is still an answer of the execution."""
    for query, data in (("{quick fails}", {"quick": "done", "fails": None}), ("{failsWhole}", None)):
        response = await running.ask(query)
        assert response.status_code == 200
        assert response.json()["data"] == data


async def test_operation_name_chooses_among_several(running: RunningEdge) -> None:
    """And one that does not exist is a request error."""
    query = "query A {quick} query B {one: quick}"
    assert (await running.ask(query, operationName="B")).json() == {"data": {"one": "done"}}
    response = await running.ask(query, operationName="C")
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


async def test_get_runs_queries_with_variables(running: RunningEdge) -> None:
    """Parameters are in the query string, JSON where they are objects; an empty name is none."""
    params = {
        "query": "query ($n: Int!) {item(number: $n) {number}}",
        "variables": '{"n": 7}',
        "operationName": "",
        "extensions": "{}",
    }
    response = await running.http.get("/graphql", params=params, headers={"X-Crier-Client": "test"})
    assert response.json() == {"data": {"item": {"number": 7}}}


@pytest.mark.parametrize("accept", [GRAPHQL_JSON, PLAIN_JSON])
async def test_get_refuses_mutations_with_405(running: RunningEdge, accept: str) -> None:
    """Whatever the media type; and nothing happened."""
    headers = {"Accept": accept, "X-Crier-Client": "test"}
    response = await running.http.get("/graphql", params={"query": 'mutation {write(note: "x")}'}, headers=headers)
    assert (response.status_code, response.headers["allow"], code_of(response)) == (405, "POST", "BAD_REQUEST")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_405(running: RunningEdge, method: str) -> None:
    """And say which are allowed."""
    response = await running.http.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/plain; a=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/jsonx",
        "application/json; charset=latin-1",
    ],
)
async def test_post_of_another_content_type_runs_nothing(running: RunningEdge, content_type: str | None) -> None:
    """415: among them are all that a browser sends without asking first."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = await running.http.post("/graphql", content=b'{"query": "{quick}"}', headers=headers)
    assert (response.status_code, code_of(response)) == (415, "BAD_REQUEST")


async def test_get_without_a_header_that_needs_preflight_runs_nothing(running: RunningEdge) -> None:
    """A link or an image on another page must not make a browser ask."""
    response = await running.http.get("/graphql", params={"query": "{quick}"})
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"NONSENSE",
        b'{"query":',
        b"\xff\xfe",
        b'"abc"',
        b"1",
        b"null",
        b"[]",
        b'[{"query": "{quick}"}]',
        b"{}",
        b'{"qeury": "{quick}"}',
        b'{"query": 1}',
        b'{"query": null}',
        b'{"query": "  "}',
        b'{"query": "{quick}", "variables": [7]}',
        b'{"query": "{quick}", "variables": "{}"}',
        b'{"query": "{quick}", "operationName": 1}',
        b'{"query": "{quick}", "extensions": "x"}',
        b'{"query": "\\ud800"}',
        b"[" * 50_000,
    ],
)
async def test_malformed_body_is_400_with_a_code(running: RunningEdge, body: bytes) -> None:
    """In either media type."""
    for accept in (GRAPHQL_JSON, PLAIN_JSON):
        headers = {"Content-Type": "application/json", "Accept": accept}
        response = await running.http.post("/graphql", content=body, headers=headers)
        assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


async def test_null_parameters_are_as_if_left_out(running: RunningEdge) -> None:
    """Explicitly nothing is nothing."""
    response = await running.ask("{quick}", variables=None, operationName=None, extensions=None)
    assert response.json() == {"data": {"quick": "done"}}


async def test_large_body_is_refused_by_its_announced_length(running: RunningEdge) -> None:
    """Ten megabytes of JSON: 413 before the body was sent."""
    host = urlsplit(running.origin)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    writer.write(
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n"
    )
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    assert b" 413 " in answer
    writer.close()


async def test_large_body_without_announced_length_is_cut_off_early(running: RunningEdge) -> None:
    """Chunks are counted as they come: the answer is there long before ten megabytes were."""
    host = urlsplit(running.origin)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode())
    answer = asyncio.ensure_future(reader.readuntil(b"\r\n"))
    sent = 0
    while not answer.done() and sent < 10_000:
        sent += 1
        writer.write(b"3e8\r\n" + b" " * 1_000 + b"\r\n")
        await asyncio.sleep(0.001)
    assert b" 413 " in await answer
    assert sent < 2_000
    writer.close()


async def test_large_body_of_small_parts_is_refused_before_it_is_read(running: RunningEdge) -> None:
    """What makes a body large are texts; one of as many bytes that is one text is read."""
    for content, status in (
        (b'{"query": "{quick}", "extensions": {"a": [' + b"{}," * 300_000 + b"1]}}", 413),
        (b'{"query": "{quick}", "extensions": {"a": "' + b"a, word " * 19_000 + b'"}}', 200),
        (b'{"query": "{quick}", "extensions": {"a": [' + b"1," * 25_000 + b"1]}}", 200),
    ):
        answer = await running.http.post("/graphql", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, content[:60]


async def test_body_that_never_ends_is_given_up(edge: Edge) -> None:
    """A slow client holds nothing for ever."""
    running = await edge(options=EdgeOptions(request_timeout=timedelta(seconds=0.2)))
    host = urlsplit(running.origin)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    writer.write(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
    answer = await asyncio.wait_for(reader.read(4_000), 5)
    assert b" 408 " in answer
    assert b"BAD_REQUEST" in answer
    writer.close()


async def test_subscription_over_plain_http_says_how_to_ask(running: RunningEdge) -> None:
    """It needs a socket or a stream."""
    response = await running.ask("subscription {forever}")
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")
    assert "event-stream" in response.json()["errors"][0]["message"]


async def test_incremental_delivery_is_no_part_of_the_schema(running: RunningEdge) -> None:
    """`@defer` is an unknown directive, never a multipart answer."""
    response = await running.ask("{... @defer {quick}}", headers={"Accept": PLAIN_JSON})
    assert code_of(response) == "VALIDATION_FAILED"
    assert response.headers["content-type"].startswith(PLAIN_JSON)


async def test_rendered_json_passes_through(running: RunningEdge) -> None:
    """An object and a list that are JSON already stand in the answer as they are."""
    response = await running.ask("{rendered {number} renderedList {number} item {number}}")
    assert response.json() == {
        "data": {"rendered": {"number": 42}, "renderedList": [{"number": 42}], "item": {"number": 1}}
    }


async def test_every_operation_has_a_context_of_its_own_and_it_is_closed(running: RunningEdge) -> None:
    """Whatever became of the operation."""
    for query in ("{quick}", "{fails}", "{nope}", "{"):
        await running.ask(query)
    assert len(running.edge.contexts) == 4
    assert all(context.closed for context in running.edge.contexts)


async def test_batch_of_operations_is_refused(running: RunningEdge) -> None:
    """One at a time."""
    response = await running.http.post("/graphql", json=[{"query": "{quick}"}] * 2)
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


async def test_introspection_is_off_where_the_schema_is_closed(edge: Edge) -> None:
    """As are suggestions: neither fields nor enum values are given away."""
    running = await edge(schema=small_schema(is_open=False))
    assert code_of(await running.ask("{__schema {types {name}}}")) == "VALIDATION_FAILED"
    assert "quick" not in (await running.ask("{quic}")).text
    open_one = await edge()
    assert (await open_one.ask("{__schema {types {name}}}")).json()["data"]["__schema"]["types"]
    assert "quick" in (await open_one.ask("{quic}")).text


async def test_budget_is_told_in_the_standard_headers(edge: Edge, a_key: Callable[..., Awaitable[str]]) -> None:
    """With what is answered and what is refused for want of it; what was never run says nothing."""
    purse = Purse(left=25)
    running = await edge(schema=small_schema(budget=purse))
    headers = {"Authorization": f"Bearer {await a_key()}"}
    told = []
    for query in ("{items(first: 10) {edges {node {number}}}}", "{item {items(first: 9) {number}}}", "{"):
        answer = await running.ask(query, headers=headers)
        names = ("ratelimit", "ratelimit-policy", "retry-after")
        told.append((answer.status_code, [answer.headers.get(name) for name in names]))
    policy = '"cost";q=100;w=60'
    assert told == [
        (200, ['"cost";r=4;t=4', policy, None]),
        (429, ['"cost";r=4;t=4', policy, "8"]),
        (400, [None, None, None]),
    ]
    assert len({viewer for viewer, _ in purse.spent}) == 1
