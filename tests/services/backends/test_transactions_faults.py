"""Transactions whose connection breaks: run again where nothing happened, and never told wrongly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from services.backends.database import Database
from services.backends.faults import CommitUnknown
from services.backends.outbox import OutboxRelay
from services.backends.redis import RedisGate
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.events import Event
from tests.faulty import FaultyNetwork
from tests.services.backends.things import add, counting, counts

Service = DatabaseTransactionService


@pytest.fixture
async def fragile(
    make_database: Any, network: FaultyNetwork, url_through_network: str, gate: RedisGate
) -> AsyncIterator[Service]:
    """Transactions over a network that may break."""
    database = await make_database(url=url_through_network, pool_min=1, pool_max=2)
    relay = OutboxRelay(database=database, gate=gate)
    service = DatabaseTransactionService(database=database, outbox=relay, random=Random(1))  # noqa: S311 — jitter
    yield service
    await service.close()
    await relay.close()


async def test_connection_lost_before_commit_is_retried(fragile: Service, db: Database, network: FaultyNetwork) -> None:
    """Work whose connection breaks in the middle is run again, whole."""
    runs = 0

    async def work(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await add(1)(tx)
        if runs == 1:
            network.cut()
        await add(1, to=2)(tx)

    await fragile.execute_in_transaction(work)
    assert await counts(db) == [1, 1, 0]
    assert runs == 2


@pytest.mark.parametrize("with_event", [True, False])
async def test_commit_whose_answer_is_lost(
    fragile: Service,
    db: Database,
    network: FaultyNetwork,
    slow_commits: Callable[[], Awaitable[None]],
    with_event: bool,
) -> None:
    """With an event PostgreSQL is asked what became of it; without one the caller is told that nobody can say."""
    calls: list[str] = []

    async def work(tx: Transaction) -> str:
        calls.append("run")
        tx.on_commit(counting(calls, "callback"))
        await add(1)(tx)
        if with_event:
            await tx.emit(Event(uuid4(), "CHANGED", {}))
        return "result"

    task = asyncio.create_task(fragile.execute_in_transaction(work))
    await slow_commits()
    network.cut()

    if with_event:
        assert await task == "result"
        assert calls == ["run", "callback"]
    else:
        with pytest.raises(CommitUnknown):
            await task
        assert calls == ["run"]
        await asyncio.sleep(0.3)
    assert (await counts(db))[0] == 1


async def test_nested_work_that_cannot_be_undone_is_never_committed(
    fragile: Service, db: Database, network: FaultyNetwork
) -> None:
    """The network is silent when the savepoint is to be undone, and back when the outer, which took no notice, goes on:
    all is run again."""
    runs = 0

    async def fail_in_silence(tx: Transaction) -> None:
        await add(1)(tx)
        if runs == 1:
            network.hang()
        raise KeyError

    async def work(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        with suppress(KeyError):
            await fragile.execute_in_transaction(fail_in_silence)
        network.heal()
        await add(1, to=2)(tx)

    await fragile.execute_in_transaction(work)
    assert runs == 2
    assert await counts(db) == [0, 1, 0]
