"""Nested transactions: undone alone, committed together."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.backends.database import Database, Isolation
from services.backends.deadline import deadline_in
from services.backends.faults import DatabaseAway
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.errors import TimedOut
from services.domain.events import Event
from tests.services.backends.things import add, counting, counts

Service = DatabaseTransactionService


async def test_nested_work_joins_by_savepoint(transactions: Service, db: Database) -> None:
    """Nested work that fails is undone alone, with its events and callbacks; the rest commits as one."""
    calls: list[str] = []

    async def nested(tx: Transaction) -> None:
        tx.on_commit(counting(calls, "nested"))
        await add(10, to=2)(tx)

    async def failing(tx: Transaction) -> None:
        tx.on_commit(counting(calls, "never"))
        await tx.emit(Event(uuid4(), "NEVER", {}))
        await add(100, to=3)(tx)
        await transactions.execute_in_transaction(nested)
        await tx.connection.execute(text("INSERT INTO things VALUES (1)"))

    async def work(tx: Transaction) -> None:
        tx.on_commit(counting(calls, "outer"))
        await add(1)(tx)
        with pytest.raises(IntegrityError):
            await transactions.execute_in_transaction(failing)
        await transactions.execute_in_transaction(nested)
        assert calls == []
        assert await counts(db) == [0, 0, 0]

    await transactions.execute_in_transaction(work)
    assert await counts(db) == [1, 10, 0]
    assert calls == ["outer", "nested"]


async def test_nested_work_is_undone_with_the_outer(transactions: Service, db: Database) -> None:
    """A savepoint that was released is no commit."""
    calls: list[str] = []

    async def nested(tx: Transaction) -> None:
        tx.on_commit(counting(calls, "nested"))
        await add(1)(tx)

    async def work(_: Transaction) -> None:
        await transactions.execute_in_transaction(nested)
        raise KeyError

    with pytest.raises(KeyError):
        await transactions.execute_in_transaction(work)
    assert (await counts(db), calls) == ([0, 0, 0], [])


async def test_concurrent_child_tasks_share_the_transaction_in_turn(transactions: Service, db: Database) -> None:
    """Child tasks that run nested work at once do not disturb each other; one that fails undoes only its own."""

    def nested(number: int) -> Any:
        async def work(tx: Transaction) -> None:
            await add(number)(tx)
            await tx.connection.execute(text("SELECT pg_sleep(0.01)"))
            if number == 3:
                raise KeyError

        return work

    async def work(_: Transaction) -> list[Any]:
        children = (transactions.execute_in_transaction(nested(number)) for number in range(1, 6))
        return await asyncio.gather(*children, return_exceptions=True)

    outcomes = await transactions.execute_in_transaction(work)
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 2 + [KeyError] + [type(None)] * 2
    assert (await counts(db))[0] == 1 + 2 + 4 + 5


async def test_commit_waits_for_a_child_and_later_ones_are_on_their_own(transactions: Service, db: Database) -> None:
    """A child task that is inside when the work ends is waited for; one that begins after the end commits alone."""
    children: list[asyncio.Task[None]] = []
    inside, outer_ended = asyncio.Event(), asyncio.Event()

    async def slow(tx: Transaction) -> None:
        inside.set()
        await tx.connection.execute(text("SELECT pg_sleep(0.1)"))
        await add(1)(tx)

    async def come_later() -> None:
        await outer_ended.wait()
        await transactions.execute_in_transaction(add(10, to=2))

    async def work(_: Transaction) -> None:
        children.append(asyncio.create_task(transactions.execute_in_transaction(slow)))
        children.append(asyncio.create_task(come_later()))
        await inside.wait()

    await transactions.execute_in_transaction(work)
    assert await counts(db) == [1, 0, 0]
    outer_ended.set()
    await asyncio.gather(*children)
    assert await counts(db) == [1, 10, 0]


async def test_read_only_refuses_writes(transactions: Service, db: Database) -> None:
    """Also where only the nested part is read-only, and then only there."""

    async def work(_: Transaction) -> None:
        with pytest.raises(DBAPIError, match="read-only"):
            await transactions.execute_in_transaction(add(1), read_only=True)
        await transactions.execute_in_transaction(add(10, to=2))

    with pytest.raises(DBAPIError, match="read-only"):
        await transactions.execute_in_transaction(add(1), read_only=True)
    await transactions.execute_in_transaction(work)
    assert await counts(db) == [0, 10, 0]


@pytest.mark.parametrize("outer", Isolation)
@pytest.mark.parametrize("inner", Isolation)
async def test_nested_work_never_gets_less_isolation_than_it_asks_for(
    transactions: Service, db: Database, outer: Isolation, inner: Isolation
) -> None:
    """It joins a transaction that promises as much or more; into one that promises less it is not let at all."""

    async def work(_: Transaction) -> None:
        if list(Isolation).index(inner) <= list(Isolation).index(outer):
            await transactions.execute_in_transaction(add(10), isolation=inner)
        else:
            with pytest.raises(ValueError, match=f"needs {inner}"):
                await transactions.execute_in_transaction(add(10), isolation=inner)
        await transactions.execute_in_transaction(add(1))

    await transactions.execute_in_transaction(work, isolation=outer)
    assert (await counts(db))[0] in (1, 11)


async def test_timed_out_nested_work_is_undone(transactions: Service, db: Database) -> None:
    """Nested work whose time is over is undone even where the outer swallows that and commits."""

    async def too_slow(tx: Transaction) -> None:
        await add(1)(tx)
        await tx.connection.execute(text("SELECT pg_sleep(5)"))

    async def work(tx: Transaction) -> None:
        await add(1, to=2)(tx)
        with pytest.raises(TimedOut), deadline_in(timedelta(milliseconds=100)):
            await transactions.execute_in_transaction(too_slow)

    await transactions.execute_in_transaction(work)
    assert await counts(db) == [0, 1, 0]


async def test_cancelled_nested_work_takes_the_whole_with_it(transactions: Service, db: Database) -> None:
    """A cancelled statement costs the connection: nothing is committed, and nobody is told that it was."""

    async def too_slow(tx: Transaction) -> None:
        await tx.connection.execute(text("SELECT pg_sleep(5)"))

    async def work(tx: Transaction) -> None:
        await add(1)(tx)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await transactions.execute_in_transaction(too_slow)

    with pytest.raises(Exception, match="lost"):
        await transactions.execute_in_transaction(work)
    assert await counts(db) == [0, 0, 0]


async def test_nested_work_that_is_cancelled_twice_is_never_committed(transactions: Service, db: Database) -> None:
    """The second time while it is being undone, by an outer that swallows both and goes on."""
    runs = 0

    async def work(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        written = asyncio.Event()

        async def nested(inner: Transaction) -> None:
            await add(1)(inner)
            written.set()
            await asyncio.Event().wait()

        child = asyncio.create_task(transactions.execute_in_transaction(nested))
        await written.wait()
        for _ in range(2):
            child.cancel()
            await asyncio.sleep(0)
        await asyncio.wait({child})
        assert child.cancelled()
        await add(1, to=2)(tx)

    with pytest.raises(DatabaseAway):
        await transactions.execute_in_transaction(work)
    assert runs == 3
    assert await counts(db) == [0, 0, 0]
