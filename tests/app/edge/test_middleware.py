"""What surrounds every request: ids, log lines, headers."""

from typing import Any

import pytest

from app.options import EdgeOptions
from tests.app.edge.conftest import Edge, RunningEdge

PATHS = ("/graphql", "/works", "/fails", "/refuses", "/nowhere")


@pytest.fixture
async def running(edge: Edge) -> RunningEdge:
    """An edge as it comes."""
    return await edge()


@pytest.mark.parametrize("path", PATHS)
async def test_safe_headers_stand_on_every_answer(running: RunningEdge, path: str) -> None:
    """Errors among them; what is given is allowed nothing."""
    headers = (await running.http.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "strict-transport-security" not in headers


async def test_browsers_are_told_to_insist_on_tls_in_production(edge: Edge) -> None:
    """And only there: on a developer's machine there is none."""
    running = await edge(options=EdgeOptions(is_production=True))
    assert "max-age" in (await running.http.get("/works")).headers["strict-transport-security"]


async def test_other_origins_are_not_allowed_unless_configured(edge: Edge) -> None:
    """No header that would let a page elsewhere read an answer, nor a preflight that succeeds."""
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for options, is_allowed in ((EdgeOptions(), False), (EdgeOptions(cors_origins=("https://friend.example",)), True)):
        running = await edge(options=options)
        origin = {"Origin": "https://friend.example"}
        answer = await running.ask("{quick}", headers=origin)
        assert ("access-control-allow-origin" in answer.headers) is is_allowed
        asked = await running.http.options("/graphql", headers=origin | preflight)
        assert (asked.status_code == 200) is is_allowed
        stranger = await running.ask("{quick}", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


async def test_sane_correlation_id_is_taken_and_given_back(running: RunningEdge, logged: Any) -> None:
    """In the header, in the operation's context and in the log."""
    response = await running.ask("{correlationId}", headers={"X-Correlation-Id": "Trace-1.a:b_c"})
    assert response.headers["x-correlation-id"] == "Trace-1.a:b_c"
    assert response.json()["data"]["correlationId"] == "Trace-1.a:b_c"


@pytest.mark.parametrize("given", ["", "a b", "ä", "x" * 129, "<script>", "a\tb", "-x", '{"a":1}'])
async def test_odd_correlation_id_is_replaced(running: RunningEdge, given: str) -> None:
    """By one of ours: nothing odd reaches a log or a header."""
    response = await running.http.get("/works", headers=[(b"X-Correlation-Id", given.encode())])
    ours = response.headers["x-correlation-id"]
    assert ours != given
    assert len(ours) == 32


@pytest.mark.parametrize("path", PATHS)
async def test_every_request_is_one_log_line(running: RunningEdge, logged: Any, path: str) -> None:
    """With what it was, what came of it and how long it took; without its query string."""
    response = await running.http.get(f"{path}?secret=1")
    lines = [event for event in logged if event["event"] == "request"]
    assert len(lines) == 1
    assert (lines[0]["method"], lines[0]["path"], lines[0]["status"]) == ("GET", path, response.status_code)
    assert lines[0]["ms"] > 0


async def test_log_line_of_an_operation_says_its_name_and_codes(running: RunningEdge, logged: Any) -> None:
    """Not its document, nor its variables."""
    await running.ask(
        "query Mine($n: Int) {refused item(number: $n) {number}}", operationName="Mine", variables={"n": 1}
    )
    line = next(event for event in logged if event["event"] == "request")
    assert (line["operation"], line["codes"]) == ("Mine", ["CAPTION_TOO_LONG"])
    assert "refused" not in str(line)
