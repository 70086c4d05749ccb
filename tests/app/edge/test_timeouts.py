"""No request outlasts its time, and nothing is left behind."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.options import EdgeOptions
from schema.extensions.request_timeout import TimeLimits
from services.backends.database import Database
from tests.app.edge.conftest import Edge, RunningEdge
from tests.app.edge.small_edge import small_schema

LIMIT = timedelta(seconds=0.3)


@pytest.fixture
async def running(edge: Edge) -> RunningEdge:
    """An edge where everything has to be quick."""
    return await edge(schema=small_schema(time_limit=LIMIT), options=EdgeOptions(request_timeout=LIMIT))


async def sleepers(database: Database) -> int:
    """How many statements still sleep in PostgreSQL, once those that were canceled had a moment to end."""
    statement = text(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%'"
        " AND pid <> pg_backend_pid() AND datname = current_database()"
    )
    found = 0
    for _ in range(50):
        async with database.connect() as connection:
            found = int(await connection.scalar(statement) or 0)
        if found == 0:
            break
        await asyncio.sleep(0.02)
    return found


async def test_slow_fields_are_null_with_timeout_and_finished_ones_are_answered(running: RunningEdge) -> None:
    """In the database or in Python, at the root or below; each error stands at its path."""
    response = await running.ask("{quick slow asleep item {number slow}}")
    answer = response.json()
    assert response.status_code == 200
    assert answer["data"] == {"quick": "done", "slow": None, "asleep": None, "item": {"number": 1, "slow": None}}
    assert {tuple(error["path"]) for error in answer["errors"]} == {("slow",), ("asleep",), ("item", "slow")}
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"TIMEOUT"}
    assert all(error["extensions"]["retryable"] for error in answer["errors"])


@pytest.mark.slow
async def test_hundred_timeouts_in_a_row_come_in_time_and_leave_nothing_behind(
    running: RunningEdge, database: Database
) -> None:
    """In PostgreSQL and in Python: each answer comes within 50 ms of its limit, but for what the machine itself adds
    to every request; no statement runs on, and the pool is whole: it hands out all its connections."""
    late = []
    for _ in range(100):
        road, _ = await timed(running.ask("{quick}"))
        async with held_up() as delay:
            took, response = await timed(running.ask("{slow asleep}", headers={"X-Request-Timeout": "60"}))
        assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["TIMEOUT"] * 2
        if not 0.030 < took < 0.060 + 0.050 + road + delay():
            late.append((took, road, delay()))
    assert late == []
    assert await sleepers(database) == 0
    usage = database.usage()
    assert (usage.in_use, usage.waiting) == (0, 0)
    async with AsyncExitStack() as stack:
        for _ in range(5):
            connection = await stack.enter_async_context(database.connect())
            assert await connection.scalar(text("SELECT 1")) == 1


async def timed(asking: Awaitable[httpx.Response]) -> tuple[float, httpx.Response]:
    """How long an answer took (seconds), and the answer."""
    began = time.perf_counter()
    response = await asking
    return time.perf_counter() - began, response


@asynccontextmanager
async def held_up() -> AsyncIterator[Callable[[], float]]:
    """How much later than wished (seconds) this loop and a thread beside it woke meanwhile: all together, as the delays
    of a request add up too. A wake-up within 2 ms is in time."""
    delays = [0.0]
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            began = time.perf_counter()
            time.sleep(0.002)
            delays.append(max(0.0, time.perf_counter() - began - 0.004))

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            delays.append(max(0.0, time.perf_counter() - began - 0.004))

    thread = threading.Thread(target=watch)
    thread.start()
    ticking = asyncio.create_task(tick())
    try:
        yield lambda: sum(delays)
    finally:
        ticking.cancel()
        over.set()
        thread.join()


async def test_concurrent_timeouts_leave_the_pool_whole(running: RunningEdge, database: Database) -> None:
    """More than the pool has connections: those that wait for one time out too."""
    answers = await asyncio.gather(*(running.ask("{slow}") for _ in range(20)))
    assert {answer.json()["errors"][0]["extensions"]["code"] for answer in answers} == {"TIMEOUT"}
    assert (await running.ask("{slow(seconds: 0)}")).json() == {"data": {"slow": 1}}
    assert await sleepers(database) == 0
    assert database.usage().in_use == 0


@pytest.mark.parametrize("short", ["query", "mutation"])
async def test_each_kind_of_operation_has_its_own_limit(edge: Edge, short: str) -> None:
    """The other one may take longer."""
    limits = dict.fromkeys(("query", "mutation", "subscription"), timedelta(seconds=30))
    running = await edge(schema=small_schema(time_limit=TimeLimits(**limits | {short: timedelta(seconds=0.1)})))
    answers = {
        "query": (await running.ask("{slow(seconds: 0.3)}")).json(),
        "mutation": (await running.ask('mutation {write(note: "x", seconds: 0.3)}')).json(),
    }
    assert {kind for kind, answer in answers.items() if "errors" in answer} == {short}
    assert answers[short]["errors"][0]["extensions"]["code"] == "TIMEOUT"


@pytest.mark.parametrize(("asked", "is_quick"), [("50", True), ("60000", False)])
async def test_client_may_ask_for_less_time_but_not_for_more(edge: Edge, asked: str, is_quick: bool) -> None:
    """`X-Request-Timeout` in milliseconds."""
    limit = timedelta(seconds=2) if is_quick else timedelta(seconds=0.2)
    running = await edge(schema=small_schema(time_limit=limit))
    began = time.perf_counter()
    response = await running.ask("{asleep}", headers={"X-Request-Timeout": asked})
    assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
    assert time.perf_counter() - began < 1.5


@pytest.mark.parametrize("asked", ["", "0", "-1", "1.5", "1e3", "soon", "٣", "99999999999"])
async def test_nonsense_as_a_time_is_refused(running: RunningEdge, asked: str) -> None:
    """400, rather than any guess."""
    headers = [(b"X-Request-Timeout", asked.encode())]
    response = await running.http.post("/graphql", json={"query": "{quick}"}, headers=headers)
    assert response.status_code == 400
    response = await running.http.get("/works", headers=headers)
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("act", ["sleeps", "streams"])
async def test_rest_handler_has_the_same_limit(running: RunningEdge, database: Database, act: str) -> None:
    """504 with TIMEOUT; its statement is canceled too."""
    response = await running.http.get(f"/{act}")
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (504, "TIMEOUT")
    assert await sleepers(database) == 0
    quick = await running.http.get("/sleeps", headers={"X-Request-Timeout": "20"})
    assert quick.status_code == 504


async def test_mutation_that_timed_out_says_that_it_is_whole_or_nothing(
    running: RunningEdge, database: Database
) -> None:
    """Here it is nothing: the statement was canceled before the commit."""
    response = await running.ask('mutation {write(note: "late", seconds: 60)}')
    error = response.json()["errors"][0]
    assert error["extensions"]["code"] == "TIMEOUT"
    assert "whole or not at all" in error["message"]
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM notes")) == 0


async def test_mutations_after_the_time_are_not_begun(running: RunningEdge) -> None:
    """They run one after the other: the first takes all the time, the second leaves no trace."""
    response = await running.ask('mutation {a: nap b: remember(word: "b")}')
    assert response.json()["data"] == {"a": None, "b": None}
    assert [error["path"] for error in response.json()["errors"]] == [["a"], ["b"]]
    assert "word" not in running.edge.contexts[-1].extras


async def test_many_writers_at_their_limit_commit_whole_or_not_at_all(edge: Edge, database: Database) -> None:
    """Whatever an answer without an error says was written is there; what timed out is there once or not at all."""
    running = await edge(schema=small_schema(time_limit=timedelta(seconds=0.1)))
    pauses = [0.04 + 0.001 * n for n in range(40)]
    answers: list[Any] = []
    for n, pause in enumerate(pauses):
        answers.append((await running.ask(f'mutation {{write(note: "{n}", seconds: {pause})}}')).json())
    async with database.connect() as connection:
        rows = [row.note for row in await connection.execute(text("SELECT note FROM notes"))]
    assert len(rows) == len(set(rows))
    for n, answer in enumerate(answers):
        if "errors" in answer:
            assert answer["errors"][0]["extensions"]["code"] == "TIMEOUT"
        else:
            assert str(n) in rows
