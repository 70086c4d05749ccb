"""What sockets and event streams count for, and what the log says of each operation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.metrics import Metrics
from tests.app.edge.conftest import Edge, RunningEdge
from tests.app.edge.test_event_streams import streaming
from tests.app.edge.test_sockets import opened

MakeKey = Callable[..., Awaitable[str]]


@pytest.fixture
async def running(edge: Edge) -> RunningEdge:
    """An edge as it comes."""
    return await edge()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One series."""
    return metrics.registry.get_sample_value(name, labels)


async def until(metrics: Metrics, name: str, expected: float, **labels: str) -> None:
    """Wait for a number: a socket's operation is counted a moment after its last message."""
    async with asyncio.timeout(5):
        while value(metrics, name, **labels) != expected:
            await asyncio.sleep(0.01)


async def test_operations_of_sockets_are_counted_like_others(running: RunningEdge, a_key: MakeKey) -> None:
    """A query with its time and statements, a subscription with its events and no time."""
    metrics = running.edge.metrics
    async with opened(running) as socket:
        await socket.start(authorization=f"Bearer {await a_key()}")
        await socket.subscribe("query Nap { slow(seconds: 0) }", operationName="Nap")
        await socket.hear_all()
        await socket.subscribe("subscription Watch { count(to: 3) { number } }", id="2")
        await socket.hear_all()
        await socket.subscribe("{ nothing }", id="3")
        await socket.hear_all()
    await until(metrics, "crier_operations_total", 1, operation="Nap", kind="query", outcome="ok")
    await until(metrics, "crier_operations_total", 1, operation="Watch", kind="subscription", outcome="ok")
    await until(metrics, "crier_errors_total", 1, code="VALIDATION_FAILED")
    assert value(metrics, "crier_subscription_events_total") == 3
    assert value(metrics, "crier_operation_statements_sum", field="slow") == 1
    assert value(metrics, "crier_operation_seconds_count", field="count") is None
    await until(metrics, "crier_requests_in_progress", 0)


async def test_an_event_stream_counts_its_events_and_takes_no_time(running: RunningEdge, logged: Any) -> None:
    """It lasts as long as somebody listens, which says nothing about us."""
    metrics = running.edge.metrics
    async with streaming(running, "subscription Watch { count(to: 2) { number } }") as events:
        await events.rest()
    await until(metrics, "crier_operations_total", 1, operation="other", kind="subscription", outcome="ok")
    assert value(metrics, "crier_subscription_events_total") == 2
    assert value(metrics, "crier_http_seconds_count", route="/graphql") is None
    [line] = [line for line in logged if line["event"] == "request"]
    assert (line["operation"], line["kind"], line["field"]) == ("Watch", "subscription", "count")


async def test_the_log_has_one_line_for_a_request(running: RunningEdge, logged: Any) -> None:
    """With what it was, how it ended and what it cost; a name of any length is cut."""
    await running.ask("query Nap { slow(seconds: 0) }")
    await running.ask("query Nap { slow(seconds: 0) }", operationName="N" * 1_000)
    await running.http.get("/fails")
    lines = [line for line in logged if line["event"] == "request"]
    assert [(line["path"], line["status"], line["codes"]) for line in lines] == [
        ("/graphql", 200, []),
        ("/graphql", 400, ["BAD_REQUEST"]),
        ("/fails", 500, ["INTERNAL"]),
    ]
    assert (lines[0]["operation"], lines[0]["field"], lines[0]["statements"]) == ("Nap", "slow", 1)
    assert len(lines[1]["operation"]) == 64
