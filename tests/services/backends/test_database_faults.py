"""The pool stays whole through everything that can happen to a connection."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from app.embedded import EmbeddedServers
from services.backends.database import Database
from services.backends.deadline import current_deadline, deadline_in
from services.backends.faults import DatabaseAway
from services.backends.statements import BoundedConnection, tally_statements
from services.domain.errors import CrierError, TimedOut
from tests.faulty import FaultyNetwork, through
from tests.services.backends.watching import backends_of, eventually

SOON = timedelta(milliseconds=120)
SLEEP = text("SELECT pg_sleep(30)")


@pytest.mark.parametrize("way", ["connect", "begin"])
async def test_statements_end_with_the_deadline_a_hundred_times(make_database: Any, db: Database, way: str) -> None:
    """Each time: TIMEOUT, nothing runs on at the server, no connection is lost, and the pool is whole."""
    database: Database = await make_database(pool_min=2, pool_max=4, application_name=f"late-{way}")

    async def be_late() -> None:
        with pytest.raises(TimedOut), deadline_in(SOON):
            async with getattr(database, way)() as connection:
                await connection.execute(SLEEP)

    for _ in range(25):
        await asyncio.gather(*(be_late() for _ in range(4)))

    await eventually(lambda: database.usage().in_use == 0)
    assert await backends_of(db, f"late-{way}", "state <> 'idle'") == 0
    assert await backends_of(db, f"late-{way}") == database.usage().size <= 4
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_timed_out_connection_is_used_again(make_database: Any) -> None:
    """A statement that ran out of time costs no reconnect: the server process is the same."""
    database: Database = await make_database(pool_min=1, pool_max=1)
    pid = text("SELECT pg_backend_pid()")
    async with database.connect() as connection:
        before = await connection.scalar(pid)
    with pytest.raises(TimedOut), deadline_in(SOON):
        async with database.connect() as connection:
            await connection.execute(SLEEP)
    async with database.connect() as connection:
        assert await connection.scalar(pid) == before


class Laggard(BoundedConnection):
    """The event loop stands still between the preparation of a statement and its run, as on a machine without a free
    core."""

    async def prepare(self, query: str, **options: Any) -> Any:
        """A prepared statement, later than wanted."""
        statement = await super().prepare(query, **options)
        if current_deadline() is not None:
            time.sleep(SOON.total_seconds())
        return statement


async def time_is_over(database: Database) -> None:
    with deadline_in(SOON):
        async with database.connect() as connection:
            await connection.execute(text("SELECT 1"))


async def value_does_not_fit(database: Database) -> None:
    async with database.connect() as connection:
        await connection.execute(text("SELECT CAST(:number AS int)"), {"number": 2**40})


async def value_does_not_fit_a_finished_statement(database: Database) -> None:
    await database.read_value("SELECT $1::int", (2**40,))


@pytest.mark.parametrize("end", [time_is_over, value_does_not_fit, value_does_not_fit_a_finished_statement])
async def test_statement_that_was_prepared_and_not_run_is_left_to_nobody(
    make_database: Any, db: Database, end: Callable[[Database], Awaitable[None]]
) -> None:
    """The driver leaves it open at the server, where it would count as running and fail the connection's next user."""
    database: Database = await make_database(
        pool_min=1, pool_max=1, statement_timeout=SOON, application_name="prepared", connection_class=Laggard
    )
    with pytest.raises((TimedOut, DBAPIError, asyncpg.DataError)):
        await end(database)

    await eventually(lambda: database.usage().in_use == 0)
    assert await backends_of(db, "prepared", "state <> 'idle'") == 0
    await asyncio.sleep(2 * SOON.total_seconds())
    for _ in range(3):
        assert await database.read_value("SELECT $1::int", (1,)) == 1
        async with database.connect() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
    assert await backends_of(db, "prepared") == 1


async def test_cancelled_callers_leave_the_pool_whole(make_database: Any, db: Database) -> None:
    """200 callers cancelled at any moment: no orphan at the server, no slot lost, no wrong answer afterwards."""
    database: Database = await make_database(pool_min=2, pool_max=4, max_waiting=500, application_name="cancelled")

    async def ask(number: int) -> int:
        async with database.begin() as connection:
            return int(await connection.scalar(text("SELECT CAST(:n AS int) FROM pg_sleep(0.004)"), {"n": number}))

    tasks = [asyncio.create_task(ask(number)) for number in range(400)]
    for number in range(0, 400, 2):
        await asyncio.sleep(0.002)
        tasks[number].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(outcomes[number] == number for number in range(1, 400, 2))
    assert all(
        outcome in (number,) or isinstance(outcome, asyncio.CancelledError) for number, outcome in enumerate(outcomes)
    )
    assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    await eventually(lambda: database.usage().in_use == 0)
    assert await backends_of(db, "cancelled", "state <> 'idle'") == 0
    assert await backends_of(db, "cancelled") <= 4
    assert await asyncio.gather(*(ask(number) for number in range(20))) == list(range(20))


async def test_cancellation_waits_for_a_commit_under_way(
    db: Database, slow_commits: Callable[[], Awaitable[None]]
) -> None:
    """Once COMMIT was sent, the caller learns of it: cancelled at that moment, the change is there and told so."""
    told: list[str] = []

    async def write() -> None:
        async with db.begin(on_committed=lambda: told.append("committed")) as connection:
            await connection.execute(text("UPDATE things SET count = 1 WHERE id = 1"))

    task = asyncio.create_task(write())
    await slow_commits()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["committed"]
    async with db.connect() as connection:
        assert await connection.scalar(text("SELECT count FROM things WHERE id = 1")) == 1


async def test_dead_network_costs_no_more_than_the_deadline(
    make_database: Any, network: FaultyNetwork, url_through_network: str
) -> None:
    """On a network that swallows everything the caller hears in time, and the pool is whole once it heals."""
    database: Database = await make_database(url=url_through_network, pool_min=2, pool_max=3)
    loop = asyncio.get_running_loop()
    network.hang()

    async def ask() -> float:
        began = loop.time()
        with pytest.raises((TimedOut, DatabaseAway)), deadline_in(timedelta(milliseconds=300)):
            async with database.connect() as connection:
                await connection.scalar(text("SELECT 1"))
        return loop.time() - began

    took = await asyncio.gather(*(ask() for _ in range(6)))
    assert max(took) < 1.0  # asyncpg's own good-bye would make it 2.3

    network.heal()
    await eventually(lambda: database.usage().in_use == 0)
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_dead_network_does_not_hold_up_who_is_cancelled(
    make_database: Any, network: FaultyNetwork, url_through_network: str
) -> None:
    """A caller cancelled in mid-statement on a dead network goes at once, give or take a short good-bye."""
    database: Database = await make_database(url=url_through_network, pool_min=1, pool_max=1)
    loop = asyncio.get_running_loop()
    async with database.connect() as connection:
        task = asyncio.create_task(connection.scalar(text("SELECT 1 FROM pg_sleep(5)")))
        await asyncio.sleep(0.1)
        network.hang()
        began = loop.time()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.time() - began < 1.5  # SQLAlchemy's own good-bye takes 2
    network.heal()


async def test_dead_network_keeps_nobody_from_closing(
    make_database: Any, network: FaultyNetwork, url_through_network: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Soon, and without a traceback that says that the server did not say good-bye."""
    database: Database = await make_database(url=url_through_network, pool_min=2, pool_max=2)
    network.hang()
    async with asyncio.timeout(2):
        await database.close()
    network.heal()
    assert [line.message for line in caplog.records if "closing connection" in line.message] == []


@pytest.mark.parametrize("has_read", [True, False])
async def test_cut_connections_are_replaced_unnoticed(
    make_database: Any, network: FaultyNetwork, url_through_network: str, has_read: bool
) -> None:
    """Connections that broke while idle are found out before they are handed out."""
    database: Database = await make_database(url=url_through_network, pool_min=3, pool_max=3)
    if has_read:
        await asyncio.gather(*(database.read_value("SELECT 1 FROM pg_sleep(0.02)", ()) for _ in range(3)))
    network.cut()
    await asyncio.sleep(0.05)

    async def ask() -> int:
        async with database.connect() as connection:
            return int(await connection.scalar(text("SELECT 1")))

    assert await asyncio.gather(*(ask() for _ in range(6))) == [1] * 6


class Forgetful(FaultyNetwork):
    """May forget its connections without a word, as firewalls do with those that were idle for long."""

    forgotten = 0

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool) -> None:
        known_since = self.forgotten
        with suppress(OSError):
            while data := await source.read(65_536):
                if known_since == self.forgotten:
                    sink.write(data)
                    await sink.drain()
        sink.close()


async def test_connection_that_was_idle_for_long_is_asked_first(
    make_database: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says nothing any more is replaced, and whoever wants it is answered; one in use is not asked."""
    folder = make_url(database_url).query.get("host")
    if not isinstance(folder, str):
        pytest.skip("the server is no socket of ours")
    place = f"{folder}/.s.PGSQL.{make_url(database_url).query['port']}"
    async with Forgetful(host=place) as network:
        database: Database = await make_database(url=through(database_url, network), pool_min=1, pool_max=1)
        with tally_statements() as tally:
            assert await database.read_value("SELECT 1", ()) == 1
        assert tally.statements == 1
        await eventually(lambda: database._engine.pool.checkedout() == 0)  # type: ignore[attr-defined] # it is a queue
        monkeypatch.setattr("services.backends.connector._TRUSTED_IDLE", 0.0)
        network.forgotten += 1
        with deadline_in(timedelta(seconds=4)):
            assert await database.read_value("SELECT 2", ()) == 2


async def test_old_connection_is_replaced(make_database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Server processes grow; a connection that somebody always wants is no exception."""
    monkeypatch.setattr("services.backends.connector._RECYCLED_AFTER", 0)
    monkeypatch.setattr("services.backends.spares._AWAY_FOR", 0.05)
    database: Database = await make_database(pool_min=1, pool_max=1)
    seen: set[int] = set()
    async with asyncio.timeout(10):
        while len(seen) < 3:
            seen.add(await database.read_value("SELECT pg_backend_pid()", ()))
    assert database.usage().size == 1


async def test_killed_backend_is_a_code_and_then_forgotten(make_database: Any, db: Database) -> None:
    """pg_terminate_backend in mid-statement is UNAVAILABLE for that caller alone."""
    database: Database = await make_database(pool_min=2, pool_max=2, application_name="victim")

    async def be_killed() -> None:
        async with database.connect() as connection:
            await connection.execute(SLEEP)

    task = asyncio.create_task(be_killed())
    await eventually(lambda: backends_of(db, "victim", "state = 'active'"))
    async with db.connect() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'victim' AND state = 'active' AND datname = current_database()"
            )
        )
    with pytest.raises(DatabaseAway):
        await task
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_forgotten_transaction_does_not_hold_its_rows(make_database: Any, db: Database) -> None:
    """Who idles in a transaction loses it after the idle timeout, and others get the rows."""
    database: Database = await make_database(pool_min=1, pool_max=1, idle_timeout=timedelta(milliseconds=100))
    with pytest.raises(DatabaseAway):
        async with database.begin() as connection:
            await connection.execute(text("UPDATE things SET count = 1 WHERE id = 1"))
            await asyncio.sleep(0.4)
    async with db.begin() as connection:
        await connection.execute(text("UPDATE things SET count = 2 WHERE id = 1"))


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedServers]:
    """A PostgreSQL server that the test may stop and start."""
    with tempfile.TemporaryDirectory(prefix="crier-tests-") as folder:
        server = EmbeddedServers(data_dir=Path(folder), redis=False, durable=False)
        yield server
        server.stop()


async def test_five_hundred_callers_live_through_a_restart_of_postgresql(own_postgres: EmbeddedServers) -> None:
    """On a pool of 20: every call is answered or refused with a code, the server never has more than 20 connections of
    ours, and once it is back all are answered."""
    server = own_postgres
    url = server.start().database_url
    database = Database(url=url, pool_min=5, pool_max=20, application_name="crowd")
    watcher = Database(url=url, pool_min=0, pool_max=1, application_name="watcher")
    await database.open()
    outcomes: Counter[object] = Counter()
    most = 0
    stopping = asyncio.Event()

    async def keep_asking() -> None:
        while not stopping.is_set():
            outcomes[await outcome_of(database)] += 1
            await asyncio.sleep(0.02)

    async def keep_watching() -> None:
        nonlocal most
        while not stopping.is_set():
            with suppress(CrierError):
                most = max(most, database.usage().size, await backends_of(watcher, "crowd"))
            await asyncio.sleep(0.02)

    try:
        crowd = [asyncio.create_task(keep_asking()) for _ in range(500)]
        crowd.append(asyncio.create_task(keep_watching()))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(0.3)
        server.start()
        answered = outcomes[1]
        async with asyncio.timeout(20):
            while outcomes[1] < answered + 1_000:
                await asyncio.sleep(0.05)
        stopping.set()
        await asyncio.gather(*crowd)

        assert {1, "UNAVAILABLE"} <= set(outcomes) <= {1, "UNAVAILABLE", "OVERLOADED"}
        assert 5 < most <= 20
        assert database.usage().in_use == database.usage().waiting == 0
        assert await asyncio.gather(*(outcome_of(database) for _ in range(200))) == [1] * 200
        async with AsyncExitStack() as stack:
            for _ in range(20):
                await stack.enter_async_context(database.connect())
    finally:
        await database.close()
        await watcher.close()


async def outcome_of(database: Database) -> object:
    """What a small transaction reads, or the code with which it is refused."""
    try:
        async with database.begin() as connection:
            return await connection.scalar(text("SELECT 1 FROM pg_sleep(0.002)"))
    except CrierError as error:
        return error.code


async def test_start_waits_for_a_server_that_is_starting(
    make_database: Any, network: FaultyNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    """`open` says once that it waits, tries again until the server is there, and gives up after its patience."""
    away = Database(
        url="postgresql://nobody@127.0.0.1:9/x", pool_min=1, pool_max=1, start_patience=timedelta(milliseconds=250)
    )
    with pytest.raises(DatabaseAway):
        await away.open()
    assert [record.message for record in caplog.records] == ["waiting for the database"]
