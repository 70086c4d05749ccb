"""The pool: warm, bounded, and exact about what was committed."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.backends.database import Database, Isolation
from services.backends.deadline import deadline_in
from services.backends.faults import Contended
from services.backends.statements import tally_statements
from services.domain.errors import Overloaded, TimedOut
from tests.services.backends.watching import backends_of, eventually

SOON = timedelta(milliseconds=120)
SLEEP = text("SELECT pg_sleep(30)")


async def test_pool_is_warm_at_start_and_never_above_its_maximum(db: Database, make_database: Any) -> None:
    """MIN connections stand before the first request; 500 at once never open more than MAX; the server agrees."""
    database: Database = await make_database(pool_min=3, pool_max=20, max_waiting=500, application_name="bounded")
    assert (database.usage().size, database.usage().idle) == (3, 3)
    assert await backends_of(db, "bounded") == 3
    seen = 0

    async def ask() -> int:
        nonlocal seen
        async with database.connect() as connection:
            seen = max(seen, database.usage().in_use)
            return int(await connection.scalar(text("SELECT 1 FROM pg_sleep(0.005)")))

    answers = await asyncio.gather(*(ask() for _ in range(500)))

    assert answers == [1] * 500
    assert seen == 20
    assert await backends_of(db, "bounded") == database.usage().size <= 20
    assert database.usage().in_use == database.usage().waiting == 0


async def test_callers_beyond_the_bounds_are_refused_with_a_code(make_database: Any) -> None:
    """The line is bounded in number, at once, and in time; who waits in it longer is refused too."""
    database: Database = await make_database(
        pool_min=1, pool_max=2, max_waiting=3, acquire_timeout=timedelta(milliseconds=150)
    )
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(database.connect())

        async def ask() -> None:
            async with database.connect():
                pass

        waiting = [asyncio.create_task(ask()) for _ in range(3)]
        await asyncio.sleep(0)
        assert database.usage().waiting == 3
        with pytest.raises(Overloaded, match="Too many") as refused:
            await ask()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Overloaded] * 3
    assert refused.value.retry_after
    assert (database.usage().waiting, database.usage().in_use) == (0, 0)
    await ask()


async def test_waiting_in_line_ends_with_the_deadline(make_database: Any) -> None:
    """Whose operation ends while it waits is told TIMEOUT, not OVERLOADED."""
    database: Database = await make_database(pool_min=1, pool_max=1)
    async with database.connect():
        with pytest.raises(TimedOut), deadline_in(SOON):
            async with database.connect():
                pass


async def test_reads_run_without_a_transaction(db: Database) -> None:
    """A checkout for reading sends no BEGIN and no ROLLBACK: each statement sees what is committed by then."""
    async with db.connect() as reader:
        ids = [await reader.scalar(text("SELECT pg_current_xact_id()::text")) for _ in range(2)]
        assert ids[0] != ids[1]
        async with db.begin() as writer:
            await writer.execute(text("UPDATE things SET count = 7 WHERE id = 1"))
        assert await reader.scalar(text("SELECT count FROM things WHERE id = 1")) == 7


async def test_transaction_commits_whole_or_not_at_all(db: Database) -> None:
    """An exception in the block undoes everything before it; without one everything stays."""
    async with db.begin() as connection:
        await connection.execute(text("UPDATE things SET count = 1"))
    with pytest.raises(KeyError):
        async with db.begin() as connection:
            await connection.execute(text("UPDATE things SET count = 2"))
            raise KeyError
    async with db.connect() as connection:
        assert await connection.scalar(text("SELECT sum(count) FROM things")) == 3


async def test_error_that_was_ignored_is_no_commit(db: Database) -> None:
    """COMMIT after a failed statement is a rollback for PostgreSQL; the caller hears of it."""
    with pytest.raises(RuntimeError, match="nothing was committed"):
        async with db.begin() as connection:
            await connection.execute(text("UPDATE things SET count = 1"))
            with pytest.raises(IntegrityError):
                await connection.execute(text("INSERT INTO things VALUES (1)"))
    async with db.connect() as connection:
        assert await connection.scalar(text("SELECT sum(count) FROM things")) == 0


async def test_isolation_and_read_only_reach_the_server(db: Database) -> None:
    """What the arguments say, the server says too, and a read-only transaction refuses to write."""
    async with db.begin(isolation=Isolation.SERIALIZABLE, read_only=True) as connection:
        assert await connection.scalar(text("SHOW transaction_isolation")) == "serializable"
        assert await connection.scalar(text("SHOW transaction_read_only")) == "on"
        with pytest.raises(DBAPIError, match="read-only"):
            await connection.execute(text("UPDATE things SET count = 1"))
        await connection.execute(text("ROLLBACK"))
        await connection.execute(text("BEGIN"))
    async with db.begin() as connection:
        assert await connection.scalar(text("SHOW transaction_isolation")) == "read committed"
        assert await connection.scalar(text("SHOW transaction_read_only")) == "off"


async def test_nothing_is_sent_once_the_deadline_is_over(db: Database) -> None:
    """A transaction whose time ran out before COMMIT is undone, not committed late."""
    with pytest.raises(TimedOut), deadline_in(SOON):
        async with db.begin() as connection:
            await connection.execute(text("UPDATE things SET count = 1"))
            await asyncio.sleep(SOON.total_seconds())
    async with db.connect() as connection:
        assert await connection.scalar(text("SELECT sum(count) FROM things")) == 0


async def test_lost_rows_to_others_are_told_by_code(db: Database) -> None:
    """A lock that is not had in time is TIMEOUT, a serialization failure is OVERLOADED by contention."""
    async with db.begin() as holder:
        await holder.execute(text("UPDATE things SET count = 1 WHERE id = 1"))
        with pytest.raises(TimedOut):
            async with db.begin() as waiter:
                await waiter.execute(text("SET LOCAL lock_timeout = '50ms'"))
                await waiter.execute(text("UPDATE things SET count = 2 WHERE id = 1"))
    with pytest.raises(Contended):
        async with db.begin(isolation=Isolation.REPEATABLE_READ) as late:
            await late.scalar(text("SELECT count FROM things WHERE id = 1"))
            async with db.begin() as early:
                await early.execute(text("UPDATE things SET count = 3 WHERE id = 1"))
            await late.execute(text("UPDATE things SET count = 4 WHERE id = 1"))


async def test_locks_are_held_from_the_beginning_and_their_last_holder_is_seen(
    make_database: Any, db: Database
) -> None:
    """Ten that count up under one lock lose no step, though READ COMMITTED; who waits too long is told TIMEOUT."""

    async def count_up() -> None:
        async with db.begin(locks=[7, 8]) as connection:
            count = await connection.scalar(text("SELECT count FROM things WHERE id = 1"))
            await connection.execute(text("UPDATE things SET count = :n WHERE id = 1"), {"n": count + 1})

    await asyncio.gather(*(count_up() for _ in range(10)))
    async with db.connect() as connection:
        assert await connection.scalar(text("SELECT count FROM things WHERE id = 1")) == 10

    impatient: Database = await make_database(pool_min=1, pool_max=1, lock_timeout=timedelta(milliseconds=50))
    async with db.begin(locks=[8]):
        with pytest.raises(TimedOut):
            async with impatient.begin(locks=[7, 8]):
                pass
    async with impatient.begin(locks=[7, 8]) as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_every_session_has_its_limits(make_database: Any) -> None:
    """Statement, lock and idle timeouts stand on every connection, the first included."""
    database: Database = await make_database(
        pool_min=2, pool_max=2, statement_timeout=timedelta(seconds=4), idle_timeout=timedelta(seconds=9)
    )
    async with database.connect() as one, database.connect() as two:
        for connection in (one, two):
            version = int(await connection.scalar(text("SHOW server_version_num")))
            expected = {"statement_timeout": "4s", "lock_timeout": "1s", "idle_in_transaction_session_timeout": "9s"}
            if version >= 170000:
                expected["transaction_timeout"] = "12s"
            for name, value in expected.items():
                assert await connection.scalar(text(f"SHOW {name}")) == value


async def test_surplus_connections_close_when_a_burst_is_over(
    make_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool keeps what the last minutes needed and shrinks to its minimum after that, one return at a time."""
    monkeypatch.setattr("services.backends.pool._WINDOW", 0.1)
    database: Database = await make_database(pool_min=2, pool_max=6)

    async def ask() -> None:
        async with database.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(0.02)"))

    await asyncio.gather(*(ask() for _ in range(6)))
    assert database.usage().size == 6
    await asyncio.sleep(0.25)
    for _ in range(8):
        await ask()
    assert database.usage().size == 2


async def test_reads_one_after_the_other_share_what_the_pool_gave_once(make_database: Any) -> None:
    """As many as ran at the same time are out of the pool; once nobody reads any more, it has them all again."""
    database: Database = await make_database(pool_min=1, pool_max=3)
    given: list[object] = []
    event.listen(database._engine.sync_engine, "checkout", lambda *details: given.append(details))

    async def read(times: int) -> None:
        for number in range(times):
            assert await database.read_value("SELECT $1::int", (number,)) == number

    await asyncio.gather(read(30), read(30))
    async with database.connect() as connection:  # takes one of theirs
        assert await connection.scalar(text("SELECT 1")) == 1
    assert 1 <= len(given) <= 2
    assert database.usage().in_use == 0
    await eventually(lambda: database._engine.pool.checkedout() == 0)  # type: ignore[attr-defined] # it is a queue


async def test_statements_and_rows_are_counted_per_operation(db: Database) -> None:
    """A tally sees what its own operation ran, child tasks and inner tallies included, and nothing else."""

    async def read(count: int) -> None:
        async with db.connect() as connection:
            await connection.execute(text("SELECT generate_series(1, :count)"), {"count": count})

    with tally_statements() as tally:
        await asyncio.gather(read(2), read(3))
        with tally_statements() as inner:
            await read(7)
    await read(11)
    assert (tally.statements, tally.rows) == (3, 12)
    assert (inner.statements, inner.rows) == (1, 7)

    with tally_statements() as tally:
        async with db.connect() as connection:
            await connection.execute(text("INSERT INTO things VALUES (:id)"), [{"id": 10}, {"id": 11}])
    assert (tally.statements, tally.rows) == (1, 0)
