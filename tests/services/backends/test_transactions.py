"""Transactions: one commit or nothing, tried again where safe, and what follows a commit only after it."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.backends.database import Database, Isolation
from services.backends.deadline import deadline_in
from services.backends.events import EventBus, Gap
from services.backends.faults import Contended
from services.backends.outbox import OutboxRelay
from services.backends.redis import RedisGate
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.events import Event
from tests.services.backends.things import add, counting, counts, outbox_size

Service = DatabaseTransactionService


async def test_concurrent_serializable_writers_both_succeed(transactions: Service, db: Database) -> None:
    """Two that read before either writes: PostgreSQL refuses one, it is run again, and both additions count."""
    both_have_read = asyncio.Barrier(2)
    runs = 0

    async def add_one(tx: Transaction) -> int:
        nonlocal runs
        runs += 1
        seen = int(await tx.connection.scalar(text("SELECT count FROM things WHERE id = 1")))
        if runs <= 2:
            await both_have_read.wait()
        await tx.connection.execute(text("UPDATE things SET count = :count WHERE id = 1"), {"count": seen + 1})
        return seen + 1

    results = await asyncio.gather(
        *(transactions.execute_in_transaction(add_one, isolation=Isolation.SERIALIZABLE) for _ in range(2))
    )

    assert sorted(results) == [1, 2]
    assert (await counts(db))[0] == 2
    assert runs == 3


async def test_deadlock_is_retried(transactions: Service, db: Database) -> None:
    """Two that lock two rows crosswise both succeed."""
    both_hold_one = asyncio.Barrier(2)
    runs = 0

    def crosswise(first: int, second: int) -> Any:
        async def work(tx: Transaction) -> None:
            nonlocal runs
            runs += 1
            await tx.connection.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
            await add(1, to=first)(tx)
            if runs <= 2:
                await both_hold_one.wait()
            await add(1, to=second)(tx)

        return work

    await asyncio.gather(*(transactions.execute_in_transaction(crosswise(*pair)) for pair in ((1, 2), (2, 1))))

    assert (await counts(db))[:2] == [2, 2]
    assert runs == 3


async def test_retries_end(transactions: Service) -> None:
    """Whoever loses three times is told that there is too much contention, after exactly three runs."""
    runs = 0

    async def always_lose(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await tx.connection.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END $$"))

    with pytest.raises(Contended):
        await transactions.execute_in_transaction(always_lose)
    assert runs == 3


async def test_exception_leaves_nothing(transactions: Service, db: Database) -> None:
    """No row, no event and no callback of work that failed; and it is not run again."""
    calls: list[str] = []

    async def fail(tx: Transaction) -> None:
        calls.append("run")
        await add(1)(tx)
        await tx.emit(Event(uuid4(), "CHANGED", {}))
        tx.on_commit(counting(calls, "callback"))
        raise KeyError

    with pytest.raises(KeyError):
        await transactions.execute_in_transaction(fail)
    assert await counts(db) == [0, 0, 0]
    assert await outbox_size(db) == 0
    assert calls == ["run"]


async def test_callbacks_run_once_after_a_retry(transactions: Service, db: Database) -> None:
    """Callbacks of a run that was undone are forgotten; those of the last run see the committed state."""
    runs = 0
    seen: list[int] = []

    async def work(tx: Transaction) -> None:
        nonlocal runs
        runs += 1

        async def look() -> None:
            seen.append((await counts(db))[0])

        tx.on_commit(look)
        await add(1)(tx)
        if runs == 1:
            await tx.connection.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$"))

    await transactions.execute_in_transaction(work)
    assert seen == [1]


async def test_failing_callback_stops_nobody(transactions: Service, db: Database) -> None:
    """The commit stands, the result is given, and the callbacks after it run in their order."""
    calls: list[str] = []

    async def work(tx: Transaction) -> str:
        async def fail() -> None:
            raise KeyError

        tx.on_commit(counting(calls, "first"))
        tx.on_commit(fail)
        tx.on_commit(counting(calls, "last"))
        await add(1)(tx)
        return "result"

    assert await transactions.execute_in_transaction(work) == "result"
    assert calls == ["first", "last"]
    assert (await counts(db))[0] == 1


async def test_event_is_told_before_the_call_returns(
    transactions: Service, relay: OutboxRelay, db: Database, gate: RedisGate, bus: EventBus
) -> None:
    """The writer's tags are raised and its event is published once it is answered; the row is gone soon after."""
    user = uuid4()
    await gate.client.set("crier:tag:posts", b"old")

    async def work(tx: Transaction) -> None:
        await tx.emit(Event(user, "POST_CHANGED", {"version": 1}, ("posts",)))

    async with bus.subscribe(user) as items:
        await transactions.execute_in_transaction(work)
        assert await gate.client.get("crier:tag:posts") != b"old"
        async for item in items:
            if not isinstance(item, Gap):
                assert item == b'{"kind":"POST_CHANGED","payload":{"version":1}}'
                break
    await relay.close()
    assert await outbox_size(db) == 0


async def test_event_may_hold_what_the_database_gave(transactions: Service, db: Database, relay: OutboxRelay) -> None:
    """Ids as asyncpg gives them and moments go into an event as they are; what JSON cannot say is refused."""

    async def work(tx: Transaction) -> None:
        row = (await tx.connection.execute(text("SELECT gen_random_uuid() AS id, now() AS at"))).one()
        await tx.emit(Event(row.id, "CHANGED", {"id": row.id, "at": row.at}))

    async def nonsense(tx: Transaction) -> None:
        await tx.emit(Event(uuid4(), "CHANGED", {"object": object()}))

    await transactions.execute_in_transaction(work)
    with pytest.raises(Exception, match="not JSON serializable"):
        await transactions.execute_in_transaction(nonsense)


async def test_callbacks_have_time_of_their_own(transactions: Service, db: Database) -> None:
    """What follows a commit happens, also where the caller's deadline ends right after it."""
    seen: list[int] = []

    async def work(tx: Transaction) -> None:
        async def look_late() -> None:
            await asyncio.sleep(0.3)
            seen.append((await counts(db))[0])

        tx.on_commit(look_late)
        await add(1)(tx)

    with deadline_in(timedelta(milliseconds=250)):
        await transactions.execute_in_transaction(work)
    assert seen == [1]
