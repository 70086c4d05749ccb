"""The GraphQL over HTTP specification, requirement by requirement: each test is named after the one it holds us to.

`json` below is the older media type, application/json; `graphql` the newer, application/graphql-response+json. The text
is the first edition, of September 2026; which three of its SHOULDs are not followed, and why, says
deploy/decisions/0007-statuses-of-graphql.md: their tests have `by_decision` in their names.
"""

import json
from typing import Any

import httpx
import pytest
from graphql import specified_rules
from sqlalchemy import text

from app.faults import status_of
from schema.documents import DocumentCache, DocumentLimits
from services.backends.database import Database
from tests.app.edge.conftest import Edge, RunningEdge

JSON, GRAPHQL = "application/json", "application/graphql-response+json"
BOTH = (JSON, GRAPHQL)
WRITE = 'mutation {write(note: "x")}'

NO_GRAPHQL = {"query": "{"}
INVALID = {"query": "{nope}"}
UNCLEAR = {"query": "query A {quick} query B {quick}"}
UNKNOWN = {"query": "query A {quick}", "operationName": "B"}
UNCOERCED = {"query": "query ($n: Int!) {item(number: $n) {number}}", "variables": {"n": None}}
FAILING_FIELD = {"query": "{quick fails}"}
FAILING_WHOLE = {"query": "{failsWhole}"}


@pytest.fixture
async def running(edge: Edge) -> RunningEdge:
    """An edge as it comes."""
    return await edge()


async def post(running: RunningEdge, body: Any, accept: str | None = GRAPHQL, **headers: str) -> httpx.Response:
    """A POST of JSON, or of bytes that should be JSON; `accept=None` sends no such header."""
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    request = running.http.build_request("POST", "/graphql", **content, headers={"Content-Type": JSON} | headers)
    request.headers.pop("accept")
    if accept is not None:
        request.headers["accept"] = accept
    return await running.http.send(request)


async def get(running: RunningEdge, query_string: str, accept: str = GRAPHQL) -> httpx.Response:
    """A GET with the query string as it is."""
    return await running.http.get(f"/graphql?{query_string}", headers={"X-Crier-Client": "test", "Accept": accept})


async def notes(database: Database) -> int:
    """How often the small schema's mutation has run."""
    async with database.connect() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one())


# URL


async def test_must_serve_queries_and_mutations_at_one_address(running: RunningEdge, database: Database) -> None:
    """Its path ends with /graphql, as is recommended."""
    assert (await post(running, {"query": "{quick}"})).json() == {"data": {"quick": "done"}}
    assert (await post(running, {"query": WRITE})).json() == {"data": {"write": "x"}}
    assert await notes(database) == 1


async def test_should_forbid_with_the_relevant_status_and_not_by_what_is_asked(running: RunningEdge) -> None:
    """A credential that does not hold is 401 for everything alike; fields decide the rest, in the answer."""
    for accept in BOTH:
        for body in ({"query": "{quick}"}, {"query": "{private}"}, INVALID):
            assert (await post(running, body, accept, authorization="Bearer x")).status_code == 401
        answer = await post(running, {"query": "{private quick}"}, accept)
        assert (answer.status_code, answer.json()["data"]) == (200, {"private": None, "quick": "done"})


# Media types


async def test_must_assume_utf8_where_no_charset_is_given(running: RunningEdge) -> None:
    """In what is sent, and in what is accepted; a charset that is UTF-8 by name is the same."""
    for more in ("", "; charset=utf-8", ';charset="UTF-8"', "; charset=utf-8; profile=x", "; x-charset=latin-1"):
        content_type = f"{JSON}{more}"
        body = '{"query": "query ($w: Picky!) {picky(value: $w)}", "variables": {"w": "é😀"}}'
        answer = await post(running, body.encode(), **{"Content-Type": content_type})
        assert "é😀" in answer.content.decode("utf-8")


# Requests


async def test_must_accept_post(running: RunningEdge) -> None:
    """And GET too, which a server may."""
    assert (await post(running, {"query": "{quick}"})).status_code == 200
    assert (await get(running, "query={quick}")).status_code == 200


async def test_null_parameter_is_as_if_it_were_not_given(running: RunningEdge) -> None:
    """All but the query may be."""
    for name in ("operationName", "variables", "extensions"):
        assert (await post(running, {"query": "{quick}", name: None})).json() == {"data": {"quick": "done"}}


async def test_must_ignore_properties_that_are_not_known(running: RunningEdge) -> None:
    """They are reserved for what comes: a newer client is served as far as it is understood."""
    assert (await post(running, {"query": "{quick}", "id": 1, "unheardOf": {}})).json() == {"data": {"quick": "done"}}


# GET


async def test_get_must_take_its_parameters_from_the_query_string(running: RunningEdge) -> None:
    """In the encoding of forms: a plus is a space, and percent signs are what they stand for."""
    query = "query=query+Q(%24n%3A+Int!)+%7Bitem(number%3A+%24n)+%7Bnumber%7D%7D"
    answer = await get(running, f"{query}&variables=%7B%22n%22%3A+7%7D&operationName=Q&extensions=%7B%7D")
    assert answer.json() == {"data": {"item": {"number": 7}}}


async def test_get_must_have_variables_and_extensions_as_json(running: RunningEdge) -> None:
    """Objects, that is."""
    for value in ("nonsense", "[]", "1", "%22x%22", "%7B"):
        for name in ("variables", "extensions"):
            assert (await get(running, f"query={{quick}}&{name}={value}")).status_code == 400, value


async def test_get_with_an_empty_operation_name_is_as_without(running: RunningEdge) -> None:
    """While `null` is a name like any other."""
    assert (await get(running, "query={quick}&operationName=")).json() == {"data": {"quick": "done"}}
    assert (await get(running, "query=query null {quick}&operationName=null")).json() == {"data": {"quick": "done"}}
    assert (await get(running, "query={quick}&operationName=null")).status_code == 400


async def test_get_must_not_run_mutations_and_must_answer_405(running: RunningEdge, database: Database) -> None:
    """Whether it is the only operation or the one that the name chooses."""
    for asked in (f"query={WRITE}", f"query=query Q {{quick}} mutation M {WRITE[9:]}&operationName=M"):
        for accept in BOTH:
            answer = await get(running, asked, accept)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert await notes(database) == 0


# POST


async def test_post_should_be_refused_without_a_content_type(running: RunningEdge) -> None:
    """With the status that says so."""
    answer = await running.http.post("/graphql", content=b'{"query": "{quick}"}')
    assert answer.status_code == 415
    assert answer.headers["accept-post"] == JSON


async def test_post_of_an_encoding_that_is_not_read_is_refused(running: RunningEdge) -> None:
    """As RFC 9110 has it: with what is read instead."""
    for coding in ("gzip", "br", "identity, gzip"):
        answer = await post(running, {"query": "{quick}"}, **{"Content-Encoding": coding})
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert (await post(running, {"query": "{quick}"}, **{"Content-Encoding": "Identity"})).status_code == 200


# Responses


async def test_well_formed_request_must_get_a_well_formed_response(running: RunningEdge) -> None:
    """Nothing but `data`, `errors` and `extensions`; errors that are there are several or one, and have messages."""
    for body in ({"query": "{quick}"}, INVALID, FAILING_FIELD, FAILING_WHOLE):
        for accept in BOTH:
            answer = (await post(running, body, accept)).json()
            assert answer.keys() <= {"data", "errors", "extensions"}
            assert "data" in answer or answer["errors"]
            assert all(isinstance(error["message"], str) for error in answer.get("errors", ()))
            assert answer.get("errors") != []


async def test_must_say_the_media_type_and_should_say_the_charset(running: RunningEdge) -> None:
    """Of refusals too."""
    for body in (b"", b"nonsense", b'{"query": "{quick}"}', b'{"query": "{"}'):
        for accept in BOTH:
            answer = await post(running, body, accept)
            assert answer.headers["content-type"] == f"{accept}; charset=utf-8"


async def test_must_respect_accept_and_answer_in_the_best_media_type_that_there_is(running: RunningEdge) -> None:
    """By quality first, by order where qualities are alike."""
    for accept, given in (
        (f"{GRAPHQL}, {JSON};q=0.9", GRAPHQL),
        (f"{JSON}, {GRAPHQL};q=0.9", JSON),
        (f"{GRAPHQL};q=0.1, {JSON};q=0.2", JSON),
        (f"{GRAPHQL};q=0, */*;q=0.1", JSON),
        (f"image/png, {JSON}; q=0.001", JSON),
        (f"{GRAPHQL}; charset=utf-8, {JSON}; charset=utf-8", GRAPHQL),
        (f"{GRAPHQL}; charset=iso-8859-1, {JSON}; charset=utf-8", JSON),
        (f"APPLICATION/JSON , ,{GRAPHQL};Q=0.5", JSON),
    ):
        answer = await post(running, {"query": "{quick}"}, accept)
        assert answer.headers["content-type"] == f"{given}; charset=utf-8", accept


async def test_accept_in_several_lines_is_one_list(running: RunningEdge) -> None:
    """As RFC 9110 has it of every list."""
    for lines, given in ((("text/html", JSON), JSON), ((f"{JSON};q=0.1", GRAPHQL), GRAPHQL)):
        headers = [("X-Crier-Client", "test"), *(("Accept", line) for line in lines)]
        answer = await running.http.get("/graphql?query={quick}", headers=headers)
        assert answer.headers["content-type"] == f"{given}; charset=utf-8", lines


async def test_accept_is_read_up_to_its_fiftieth_range(running: RunningEdge) -> None:
    """A head is full of them before anybody is known who could be held to a budget."""
    for others, status in ((49, 200), (50, 406), (10_000, 406)):
        accept = ",".join(["x/y"] * others + [JSON])[:30_000]
        assert (await post(running, {"query": "{quick}"}, accept)).status_code == status


async def test_should_answer_406_and_stop_where_no_media_type_is_accepted(
    running: RunningEdge, database: Database
) -> None:
    """Nothing is run whose answer nobody could read."""
    for accept in ("text/html", "application/xml, image/*", f"{JSON};q=0, {GRAPHQL};q=0"):
        assert (await post(running, {"query": WRITE}, accept)).status_code == 406, accept
    assert await notes(database) == 0


async def test_must_support_requests_that_accept_either_media_type(running: RunningEdge) -> None:
    """In UTF-8."""
    for accept in BOTH:
        answer = await post(running, {"query": "{quick}"}, accept)
        assert (answer.status_code, answer.json()) == (200, {"data": {"quick": "done"}})


async def test_should_treat_a_missing_accept_as_the_newer_media_type(running: RunningEdge) -> None:
    """Statuses included."""
    answer = await post(running, INVALID, accept=None)
    assert (answer.status_code, answer.headers["content-type"]) == (400, f"{GRAPHQL}; charset=utf-8")


# Validation and execution


async def test_validation_should_apply_every_rule_of_the_graphql_specification() -> None:
    """And some of our own."""
    for is_open in (True, False):
        rules = DocumentCache(limits=DocumentLimits(), is_open=is_open).rules
        assert set(specified_rules) <= set(rules)


async def test_document_that_fails_validation_should_not_be_executed(running: RunningEdge, database: Database) -> None:
    """No operation of it, nor any part of one."""
    for more in (
        {"query": f"{WRITE[:-1]} nope}}"},
        {"query": f"mutation M {WRITE[9:]} {{nope}}", "operationName": "M"},
    ):
        for accept in BOTH:
            assert "errors" in (await post(running, more, accept)).json()
    assert await notes(database) == 0


# Status codes


async def test_json_that_cannot_be_parsed_should_be_400(running: RunningEdge) -> None:
    """And must not be 2xx."""
    for body in (b"", b"nonsense", b'{"query":', b"[", b"\xff", b"[" * 50_000):
        for accept in BOTH:
            assert (await post(running, body, accept)).status_code == 400, body[:20]


async def test_request_that_is_not_well_formed_should_be_422_and_is_400_by_decision(running: RunningEdge) -> None:
    """Whatever is missing or mistyped; and it says so with a code."""
    for body in (
        {"qeury": "{quick}"},
        *({"query": value} for value in ({"a": 1}, 0, False, ["a"], "", None)),
        *({"query": "{quick}", "operationName": value} for value in ({"a": 1}, 0, False, ["a"])),
        *({"query": "{quick}", "variables": value} for value in ("a", 0, False, ["a"])),
        *({"query": "{quick}", "extensions": value} for value in ("a", 0, False, ["a"])),
        [{"query": "{quick}"}],
        "{quick}",
        1,
        None,
    ):
        for accept in BOTH:
            answer = await post(running, body, accept)
            assert answer.status_code == 400, body
            assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


REQUEST_ERRORS = {
    "document parsing": NO_GRAPHQL,
    "document validation": INVALID,
    "operation unclear": UNCLEAR,
    "operation unknown": UNKNOWN,
    "variable coercion": UNCOERCED,
}


async def test_json_should_have_the_same_statuses_and_is_200_by_decision(running: RunningEdge) -> None:
    """The body alone says what was wrong."""
    for name, body in REQUEST_ERRORS.items():
        answer = await post(running, body, JSON)
        assert (answer.status_code, answer.json().keys()) == (200, {"errors"}), name


async def test_graphql_must_be_4xx_without_data_and_is_400_for_422_by_decision(running: RunningEdge) -> None:
    """Request errors have no `data` entry."""
    for name, body in REQUEST_ERRORS.items():
        answer = await post(running, body, GRAPHQL)
        assert (answer.status_code, answer.json().keys()) == (400, {"errors"}), name


async def test_field_errors_must_be_2xx_with_data_should_be_294_and_are_200_by_decision(running: RunningEdge) -> None:
    """Partial, or `null`: it was executed."""
    for body in (FAILING_FIELD, FAILING_WHOLE):
        for accept in BOTH:
            answer = await post(running, body, accept)
            assert (answer.status_code, answer.json().keys()) == (200, {"data", "errors"})


async def test_data_without_errors_should_be_200(running: RunningEdge) -> None:
    """In whatever it is said."""
    for accept in BOTH:
        answer = await post(running, {"query": "{quick}"}, accept)
        assert (answer.status_code, answer.json().keys()) == (200, {"data"})


async def test_document_that_cannot_be_parsed_should_be_400(running: RunningEdge) -> None:
    """In the newer media type."""
    assert (await post(running, NO_GRAPHQL, GRAPHQL)).status_code == 400


async def test_operation_that_is_unclear_and_variables_that_do_not_fit_should_not_be_executed(
    running: RunningEdge, database: Database
) -> None:
    """Nothing has run."""
    written = 'mutation A {write(note: "x")} mutation B {write(note: "x")}'
    wrong = {"query": "mutation ($n: String!) {write(note: $n)}", "variables": {"n": None}}
    for body in ({"query": written}, {"query": written, "operationName": "C"}, wrong):
        for accept in BOTH:
            assert "errors" in (await post(running, body, accept)).json()
    assert await notes(database) == 0


async def test_method_that_is_not_supported_must_be_told_which_are(running: RunningEdge) -> None:
    """As RFC 9110 has it of every 405."""
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = await running.http.request(method, "/graphql", json={"query": "{quick}"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST"), method


def test_server_that_cannot_answer_now_should_say_503() -> None:
    """Whatever it is that is away or has too much to do; 504 where it took too long, 500 where it is at fault."""
    said = {code: status_of(code) for code in ("OVERLOADED", "UNAVAILABLE", "CIRCUIT_OPEN", "TIMEOUT", "INTERNAL")}
    assert said == {"OVERLOADED": 503, "UNAVAILABLE": 503, "CIRCUIT_OPEN": 503, "TIMEOUT": 504, "INTERNAL": 500}


async def test_graphql_should_answer_with_the_status_that_fits_where_the_client_may_not_ask(
    running: RunningEdge,
) -> None:
    """401 for a credential that is none."""
    assert (await post(running, {"query": "{quick}"}, GRAPHQL, authorization="Bearer x")).status_code == 401


async def test_failure_of_the_request_itself_should_have_its_own_4xx(running: RunningEdge) -> None:
    """With GraphQL JSON and a code, all of them."""
    quick = {"query": "{quick}"}
    for answer, status in (
        (await running.http.put("/graphql", json=quick), 405),
        (await post(running, b"{quick}", **{"Content-Type": "application/graphql"}), 415),
        (await post(running, quick, "text/csv"), 406),
        (await get(running, "query=" + "a" * 17_000), 414),
        (await post(running, quick, **{"X-Long": "a" * 33_000}), 431),
        (await post(running, {"query": "{quick}" + " " * 1_000_000}), 413),
    ):
        assert answer.status_code == status
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_the_longest_caption_of_any_platform_should_arrive_in_any_script(running: RunningEdge) -> None:
    """A client may write each of its 63,206 characters as twelve: an escaped surrogate pair."""
    body = json.dumps({"query": "{quick}", "variables": {"caption": "\N{GRINNING FACE}" * 63_206}}).encode()
    assert len(body) > 750_000
    assert (await post(running, body)).status_code == 200


# Beside it


async def test_incremental_delivery_comes_only_where_accept_allows_it(running: RunningEdge) -> None:
    """A stream is for those who name its type; the schema has no `@defer` that could split an answer otherwise."""
    for accept in (JSON, GRAPHQL, "*/*", "text/*", "multipart/mixed, */*"):
        answer = await post(running, {"query": "{quick}"}, accept)
        assert answer.headers["content-type"].startswith("application/")
    streamed = await post(running, {"query": "{quick}"}, "text/event-stream")
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert "directive" in (await post(running, {"query": "{... @defer {quick}}"}, "multipart/mixed, */*")).text
