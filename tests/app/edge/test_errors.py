"""Every error has a code, and none says what it should not."""

from typing import Any

import pytest
from sqlalchemy import text

from services.backends.database import Database
from tests.app.edge.conftest import Edge, RunningEdge
from tests.app.edge.small_edge import PLACES, SECRET


@pytest.fixture
async def running(edge: Edge) -> RunningEdge:
    """An edge as it comes."""
    return await edge()


@pytest.mark.parametrize("place", PLACES)
async def test_secret_raised_anywhere_never_leaves(running: RunningEdge, logged: Any, place: str) -> None:
    """INTERNAL, the correlation id, no word of the exception; and one line in the log that has it all, however many
    rows of a page met the same mistake."""
    response = await running.ask(**PLACES[place], headers={"X-Correlation-Id": "find-me"})
    assert SECRET not in response.text
    assert "Traceback" not in response.text
    errors = response.json()["errors"]
    assert {error["extensions"]["code"] for error in errors} == {"INTERNAL"}
    assert {error["extensions"]["correlationId"] for error in errors} == {"find-me"}

    ours = [event for event in logged if event["log_level"] == "error"]
    assert len(ours) == 1
    assert ours[0]["times"] == len(errors)
    assert all(event["correlation_id"] == "find-me" and event["exc_info"] for event in ours)


@pytest.mark.parametrize("place", PLACES)
async def test_secret_never_leaves_by_event_stream(running: RunningEdge, place: str) -> None:
    """The same places, by the other road of HTTP."""
    response = await running.ask(**PLACES[place], headers={"Accept": "text/event-stream"})
    assert SECRET not in response.text
    assert '"code":"INTERNAL"' in response.text
    assert response.text.endswith("event: complete\ndata:\n\n")


async def test_secret_never_leaves_by_rest(running: RunningEdge, logged: Any) -> None:
    """Handlers that are not GraphQL answer in the same shape."""
    response = await running.http.get("/fails")
    assert response.status_code == 500
    assert SECRET not in response.text
    assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert [event["log_level"] for event in logged].count("error") == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"query": "{"},
        {"query": "{nope}"},
        {"query": '{picky(value: "x")}'},
        {"query": "query ($v: Picky!) {picky(value: $v)}", "variables": {"v": "x"}},
        {"query": "query A {quick} query B {quick}"},
        {"query": "{refused breakerOpen private}"},
        {"query": 1},
        {"query": "{quick}", "headers": {"Authorization": "Bearer nonsense"}},
        {"query": "{" + "quick " * 3_000 + "}"},
    ],
)
async def test_mistake_of_the_client_is_never_logged_as_ours(
    running: RunningEdge, logged: Any, caplog: pytest.LogCaptureFixture, asked: dict[str, Any]
) -> None:
    """Its code stands in the request's own line, at info."""
    response = await running.ask(**asked)
    codes = [error["extensions"]["code"] for error in response.json()["errors"]]
    assert "INTERNAL" not in codes
    assert [(event["event"], event["log_level"]) for event in logged] == [("request", "info")]
    assert logged[0]["codes"] == codes
    assert not caplog.records


async def test_error_says_what_its_code_promises(running: RunningEdge) -> None:
    """`retryable` always, `retryAfter` in whole seconds and `field` where they apply."""
    response = await running.ask("{refused breakerOpen}", headers={"X-Correlation-Id": "abc-1"})
    by_code = {error["extensions"]["code"]: error for error in response.json()["errors"]}
    assert by_code["CAPTION_TOO_LONG"]["extensions"] == {
        "code": "CAPTION_TOO_LONG",
        "retryable": False,
        "field": "caption",
        "correlationId": "abc-1",
    }
    assert by_code["CIRCUIT_OPEN"]["extensions"] == {
        "code": "CIRCUIT_OPEN",
        "retryable": True,
        "retryAfter": 13,
        "correlationId": "abc-1",
    }
    assert by_code["CIRCUIT_OPEN"]["path"] == ["breakerOpen"]
    assert by_code["CIRCUIT_OPEN"]["locations"] == [{"line": 1, "column": 10}]


async def test_scalar_that_refuses_says_why(running: RunningEdge) -> None:
    """Its own words reach the client: they are about what the client sent."""
    for asked in (
        {"query": '{picky(value: "x")}'},
        {"query": "query ($v: Picky!) {picky(value: $v)}", "variables": {"v": "x"}},
    ):
        error = (await running.ask(**asked)).json()["errors"][0]
        assert error["extensions"]["code"] == "VALIDATION_FAILED"
        assert "A Picky is never 'x'." in error["message"]


async def test_repeated_invalid_document_is_answered_alike(running: RunningEdge) -> None:
    """What is remembered of a document is the same for everybody, except whose request it was."""
    first = await running.ask("{nope}", headers={"X-Correlation-Id": "one"})
    second = await running.ask("{nope}", headers={"X-Correlation-Id": "two"})
    assert first.json()["errors"][0]["extensions"]["correlationId"] == "one"
    assert second.json()["errors"][0]["extensions"]["correlationId"] == "two"
    assert first.json()["errors"][0]["message"] == second.json()["errors"][0]["message"]


async def test_unknown_path_and_method_answer_in_the_same_shape(running: RunningEdge) -> None:
    """As does everything that is refused before a handler."""
    missing = await running.http.get("/nowhere")
    assert (missing.status_code, missing.json()["errors"][0]["extensions"]["code"]) == (404, "NOT_FOUND")
    wrong = await running.http.delete("/works")
    assert (wrong.status_code, wrong.json()["errors"][0]["extensions"]["code"]) == (405, "BAD_REQUEST")
    refused = await running.http.get("/refuses")
    assert (refused.status_code, refused.json()["errors"][0]["message"]) == (422, "Not like this.")


async def test_failed_operation_leaves_its_connections_whole(running: RunningEdge, database: Database) -> None:
    """A mistake in SQL costs no connection."""
    for _ in range(10):
        await running.ask("{failsInDatabase}")
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    assert database.usage().in_use == 0
