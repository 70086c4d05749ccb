"""Pages from a real replica: it streams, is paused, frozen and killed, and is never believed to be newer than it is."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from services.backends.database import Database
from services.backends.faults import DatabaseAway
from services.backends.outbox import OutboxRelay
from services.backends.recent_writes import note_writes
from services.backends.redis import RedisGate
from services.backends.replica import MOST_BEHIND, Answered, Replica
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.health import HealthStatus
from tests.faulty import Pair, network_before_postgres, replicated_postgres, through

COUNT = "SELECT count FROM owned_things WHERE owner = $1"
SOON = 10.0
BEHIND = MOST_BEHIND.total_seconds()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A database and the replica that follows it."""
    with replicated_postgres() as pair:
        yield pair


@dataclass
class Reading:
    """The replica as the API has it, and what tests do to the rows."""

    replica: Replica
    writer: Database
    at_replica: Database
    owner: UUID

    async def page(self) -> int:
        """What a page shows of the owner's thing."""
        count: int = await self.replica.read_value(COUNT, (self.owner,), owner=self.owner)
        return count

    async def write(self, count: int) -> None:
        """Change it behind everybody's back: no mark, no tag."""
        async with self.writer.connect() as c:
            await c.execute(
                text("UPDATE owned_things SET count = :count WHERE owner = :owner"), vars(self) | {"count": count}
            )

    async def order(self, statement: str) -> None:
        """Tell the replica something."""
        async with self.at_replica.connect() as c:
            await c.execute(text(statement))

    async def answered_by(self, which: Answered) -> None:
        """Wait until pages are."""
        before = self.replica.answers.get(which, 0)
        async with asyncio.timeout(SOON):
            while self.replica.answers.get(which, 0) == before:
                await self.page()
                await asyncio.sleep(0.02)


def database(url: str, size: int = 1) -> Database:
    """One side."""
    return Database(url=url, pool_min=size, pool_max=size, start_patience=timedelta(0))


@asynccontextmanager
async def opened(reader: str, writer: str, gate: RedisGate) -> AsyncIterator[Reading]:
    """A replica that is being looked at, and a thing of a new owner."""
    own, aside, owner = database(writer, 3), database(reader), uuid4()
    replica = Replica(reader=database(reader, 3), writer=own, lookouts=(database(writer), database(reader)), gate=gate)
    async with own.connect() as c:
        await c.execute(text("CREATE TABLE IF NOT EXISTS owned_things (owner uuid PRIMARY KEY, count int NOT NULL)"))
        await c.execute(text("INSERT INTO owned_things VALUES (:owner, 0)"), {"owner": owner})
    await replica.open()
    try:
        yield Reading(replica, own, aside, owner)
    finally:
        await replica.close()
        await aside.close()
        await own.close()


@pytest.fixture
async def reading(pair: Pair, gate: RedisGate) -> AsyncIterator[Reading]:
    """Pages are answered by the replica."""
    async with opened(pair.second.url, pair.first.url, gate) as reading:
        await reading.answered_by(Answered.READER)
        yield reading


async def test_pages_come_from_the_replica(reading: Reading) -> None:
    """Where a statement really ran is what the server itself says."""
    for _ in range(20):
        assert await reading.replica.read_value("SELECT pg_is_in_recovery()", (), owner=reading.owner) is True
    assert (await reading.replica.check()).status is HealthStatus.OK
    assert 0 <= reading.replica.behind <= BEHIND


async def test_who_has_just_written_reads_what_was_written(reading: Reading, gate: RedisGate, redis: Redis) -> None:
    """Whichever process it was, and however far the replica is; the others go on reading there."""
    await reading.order("SELECT pg_wal_replay_pause()")
    try:
        for count in range(1, 20):
            await reading.write(count)
            pipeline = redis.pipeline(transaction=False)
            note_writes(pipeline, [reading.owner])
            await pipeline.execute()
            assert await reading.page() == count
            if reading.replica.behind < BEHIND / 2:
                in_recovery = await reading.replica.read_value("SELECT pg_is_in_recovery()", (), owner=uuid4())
                assert in_recovery is True
    finally:
        await reading.order("SELECT pg_wal_replay_resume()")


async def test_a_page_is_never_older_than_it_may_be(reading: Reading) -> None:
    """Written without a word to anybody, while the replica follows late, stands still, and catches up again."""
    written: list[tuple[float, int]] = []
    stop = asyncio.Event()

    async def write() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            await reading.write(count)
            written.append((time.monotonic(), count))
            await asyncio.sleep(0.01)

    async def read() -> None:
        while not stop.is_set():
            began = time.monotonic()
            seen = await reading.page()
            due = max((count for at, count in written if at < began - BEHIND), default=0)
            assert seen >= due, f"{due} was there for more than {BEHIND} s"
            await asyncio.sleep(0.005)

    async def disturb() -> None:
        for pause in (0.3, 2.5, 0.1, 1.2):
            await reading.order("SELECT pg_wal_replay_pause()")
            await asyncio.sleep(pause)
            await reading.order("SELECT pg_wal_replay_resume()")
            await asyncio.sleep(0.5)
        stop.set()

    await asyncio.gather(write(), read(), read(), disturb())
    assert reading.replica.answers[Answered.BEHIND] > 10
    await reading.answered_by(Answered.READER)


async def test_a_dead_replica_is_done_without(reading: Reading, pair: Pair) -> None:
    """No page fails, health says so, and it is used again once it is back."""
    pair.second.kill()
    for _ in range(50):
        assert await reading.page() == 0
    await asyncio.sleep(BEHIND)
    assert (await reading.replica.check()).status is HealthStatus.DEGRADED
    await asyncio.to_thread(pair.second.stop)
    pair.second.start()
    await reading.answered_by(Answered.READER)
    assert (await reading.replica.check()).status is HealthStatus.OK


async def test_a_frozen_replica_holds_nobody_up_for_long(reading: Reading, pair: Pair) -> None:
    """The first second's pages wait for it, bounded; later ones do not."""
    pair.second.freeze()
    try:
        async with asyncio.timeout(SOON):
            assert await asyncio.gather(*(reading.page() for _ in range(6))) == [0] * 6
        await asyncio.sleep(BEHIND)
        began = time.monotonic()
        assert await reading.page() == 0
        assert time.monotonic() - began < BEHIND
    finally:
        pair.second.thaw()
    await reading.answered_by(Answered.READER)


async def test_without_redis_pages_are_read_where_they_are_written(reading: Reading, pair: Pair) -> None:
    """Nobody can say who has just written."""
    away = RedisGate(url="redis://127.0.0.1:1")
    async with opened(pair.second.url, pair.first.url, away) as lonely:
        async with asyncio.timeout(SOON):
            while lonely.replica.behind > BEHIND:
                await asyncio.sleep(0.02)
        assert await lonely.page() == 0
        assert lonely.replica.answers == {Answered.WRITTEN: 1}
    await away.close()


async def test_what_is_no_replica_of_this_database_is_never_read(
    pair: Pair, gate: RedisGate, database_url: str
) -> None:
    """The database itself, or quite another one, or another one's replica: how old it is nobody knows."""
    first, second = pair.first.url, pair.second.url
    ahead = database(first)
    for _ in range(8):  # a replica that has passed every position of the stranger it is said to follow
        async with ahead.connect() as c:
            await c.execute(text("SELECT pg_switch_wal(), txid_current()"))
    await ahead.close()
    for reader, writer in ((first, first), (database_url, first), (second, database_url)):
        async with opened(reader, writer, gate) as reading:
            await asyncio.sleep(0.5)
            assert await reading.page() == 0
            assert reading.replica.answers == {Answered.BEHIND: 1}
            if writer == database_url:
                async with reading.writer.connect() as c:
                    await c.execute(text("DROP TABLE owned_things"))


async def test_a_mistake_is_no_reason_to_ask_twice(reading: Reading) -> None:
    """What is wrong with the statement, or with the caller's time, is wrong everywhere."""
    with pytest.raises(Exception, match="no_such_table"):
        await reading.replica.read_value("SELECT * FROM no_such_table", (), owner=reading.owner)
    assert reading.replica.answers.get(Answered.FAILED, 0) == 0


async def test_who_wants_to_write_never_stays_with_a_standby(pair: Pair, gate: RedisGate) -> None:
    """After a failover: UNAVAILABLE while the address leads to a standby, and served once it leads elsewhere, though
    the standby goes on answering on the connections that it has."""
    elsewhere = network_before_postgres(pair.first.url)
    async with network_before_postgres(pair.second.url) as network:
        moving = database(through(pair.second.url, network), 2)
        await moving.open()
        outbox = OutboxRelay(database=moving, gate=gate)
        transactions = DatabaseTransactionService(database=moving, outbox=outbox, random=Random(1))  # noqa: S311 - jitter

        async def write(tx: Transaction) -> None:
            await tx.connection.execute(text("CREATE TABLE written ()"))

        with pytest.raises(DatabaseAway):
            await transactions.execute_in_transaction(write)
        assert await moving.read_value("SELECT pg_is_in_recovery()", ()) is True
        network.lead_where(elsewhere)
        await transactions.execute_in_transaction(write)
        await moving.close()
