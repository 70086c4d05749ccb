"""The outbox: nothing that was committed stays untold, whoever dies in between."""

import asyncio
import signal
import subprocess
import sys
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import event, text

from services.backends.database import Database
from services.backends.events import EventBus, Gap, channel_of
from services.backends.outbox import OutboxRelay
from services.backends.redis import RedisGate
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.events import Event
from tests.faulty import OwnRedis
from tests.services.backends.caching import Source, ask, make_cache

AT_ONCE = timedelta(0)

DIES_AFTER_COMMIT = """
import asyncio, os, signal, sys
from random import Random
from uuid import UUID
from services.backends.database import Database
from services.backends.outbox import OutboxRelay
from services.backends.redis import RedisGate
from services.backends.transactions import DatabaseTransactionService
from services.domain.events import Event

class DyingRelay(OutboxRelay):
    async def tell(self, entries):
        os.kill(os.getpid(), signal.SIGKILL)

async def main(database_url, redis_url, user):
    database = Database(url=database_url, pool_min=1, pool_max=1)
    relay = DyingRelay(database=database, gate=RedisGate(url=redis_url))
    service = DatabaseTransactionService(database=database, outbox=relay, random=Random(1))

    async def work(tx):
        await tx.emit(Event(UUID(user), "POST_CHANGED", {"version": 1}, ("posts",)))

    await service.execute_in_transaction(work)

asyncio.run(main(*sys.argv[1:]))
"""


async def rows(db: Database) -> int:
    """How many events wait."""
    async with db.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM outbox")))


def emit(user: UUID, *versions: int, tags: tuple[str, ...] = ()) -> Any:
    """Work that emits one event per version."""

    async def work(tx: Transaction) -> None:
        for version in versions:
            await tx.emit(Event(user, "POST_CHANGED", {"version": version}, tags))

    return work


async def test_killed_process_loses_no_event(  # noqa: PLR0917 — fixtures
    db: Database, relay: OutboxRelay, gate: RedisGate, bus: EventBus, database_url: str, redis_url: str
) -> None:
    """After kill -9 between COMMIT and telling a worker raises the tags and tells the event within a second."""
    user = uuid4()
    await gate.client.set("crier:tag:posts", b"old")
    async with bus.subscribe(user) as items:
        process = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", DIES_AFTER_COMMIT, database_url, redis_url, str(user)], timeout=30
        )
        assert process.returncode == -signal.SIGKILL
        assert await gate.client.get("crier:tag:posts") == b"old"

        async with asyncio.timeout(1):
            while not await relay.replay():
                await asyncio.sleep(0.1)
            item = await anext(item async for item in items if not isinstance(item, Gap))
    assert orjson.loads(item)["payload"] == {"version": 1}
    assert await gate.client.get("crier:tag:posts") != b"old"
    assert await rows(db) == 0


async def test_dead_redis_loses_no_event(db: Database, own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """Writes succeed while Redis is dead; what they have to tell waits, and is told once Redis is back."""
    relay = OutboxRelay(database=db, gate=own_gate)
    service = DatabaseTransactionService(database=db, outbox=relay, random=Random(1))  # noqa: S311 — jitter
    user = uuid4()
    own_redis.kill()

    await service.execute_in_transaction(emit(user, 1, tags=("posts",)))
    assert await relay.replay(older_than=AT_ONCE) == 0
    assert await rows(db) == 1

    own_redis.start()
    async with asyncio.timeout(3):
        while own_gate.is_away:
            await asyncio.sleep(0.02)
    await own_gate.client.set("crier:tag:posts", b"old")
    assert await relay.replay(older_than=AT_ONCE) == 1
    assert await own_gate.client.get("crier:tag:posts") is None
    assert await rows(db) == 0
    await relay.close()


async def test_writer_whom_redis_cannot_hear_reads_its_own_write(
    db: Database, own_redis: OwnRedis, relay: OutboxRelay
) -> None:
    """Every connection to Redis is in use when a commit wants to raise its tags: Redis is not away for that, but until
    the event is told this process does not believe what is cached."""
    gate = RedisGate(url=own_redis.url, max_connections=1, timeout=timedelta(milliseconds=20))
    busy = OutboxRelay(database=db, gate=gate)
    service = DatabaseTransactionService(database=db, outbox=busy, random=Random(1))  # noqa: S311 — jitter
    cache = make_cache(gate)
    assert await ask(cache, Source(b"before").load) == b"before"

    holding = asyncio.create_task(gate.run(lambda _: asyncio.sleep(0.3)))
    await asyncio.sleep(0)
    await service.execute_in_transaction(emit(uuid4(), 1, tags=("posts",)))
    await holding

    assert not gate.is_away
    assert await ask(cache, Source(b"after").load) == b"after"
    assert await rows(db) == 1
    assert await relay.replay(older_than=AT_ONCE) == 1
    await cache.close()
    await gate.close()


async def test_several_workers_replay_each_event_once_and_in_order(
    db: Database, gate: RedisGate, redis_url: str
) -> None:
    """Four workers at once: every event of every user is told once, in the order of its commits."""
    users = [uuid4() for _ in range(5)]
    quiet = OutboxRelay(database=db, gate=gate)
    heard: dict[str, list[int]] = {channel_of(user): [] for user in users}
    pubsub = gate.client.pubsub()
    await pubsub.subscribe(*heard)
    async with db.connect() as connection:
        await connection.execute(
            text(
                "INSERT INTO outbox (id, user_id, kind, payload, created_at)"
                " SELECT lpad(to_hex(version * 5 + n), 32, '0')::uuid, (CAST(:users AS uuid[]))[n + 1], 'X',"
                " jsonb_build_object('version', version), now() - interval '1 minute'"
                " FROM generate_series(100, 1, -1) version, generate_series(0, 4) n"
            ),
            {"users": users},
        )

    async def work() -> int:
        told = 0
        while await rows(db):
            told += await quiet.replay(older_than=AT_ONCE)
        return told

    told = await asyncio.gather(*(work() for _ in range(4)))
    while message := await pubsub.get_message(ignore_subscribe_messages=False, timeout=0.3):
        if message["type"] == "message":
            heard[message["channel"].decode()].append(orjson.loads(message["data"])["payload"]["version"])
    await pubsub.aclose()  # type: ignore[no-untyped-call] # theirs

    assert sum(told) == 500
    assert all(versions == list(range(1, 101)) for versions in heard.values())


async def test_replay_leaves_what_is_being_told(
    db: Database, relay: OutboxRelay, transactions: DatabaseTransactionService
) -> None:
    """A row younger than `older_than` is its own process's to tell; a row somebody holds is not waited for."""
    async with db.begin() as connection:
        await connection.execute(
            text("INSERT INTO outbox (id, user_id, kind, payload) VALUES (:id, :id, 'X', '{}')"), {"id": uuid4()}
        )
    assert await relay.replay(older_than=timedelta(minutes=1)) == 0
    async with db.begin() as holder:
        await holder.execute(text("SELECT id FROM outbox FOR UPDATE"))
        assert await relay.replay(older_than=AT_ONCE) == 0
    assert await relay.replay(older_than=AT_ONCE) == 1


async def test_rows_of_many_transactions_are_deleted_together(
    db: Database, relay: OutboxRelay, transactions: DatabaseTransactionService
) -> None:
    """A burst of writes costs few deletes: far fewer than one each."""
    deletes = 0

    def count(*arguments: Any) -> None:
        nonlocal deletes
        deletes += arguments[2].startswith("DELETE")

    event.listen(db._engine.sync_engine, "before_cursor_execute", count)
    await asyncio.gather(*(transactions.execute_in_transaction(emit(uuid4(), 1)) for _ in range(20)))
    await relay.close()
    assert await rows(db) == 0
    assert 1 <= deletes <= 5


async def test_rows_are_deleted_again_after_a_failure(
    db: Database, relay: OutboxRelay, transactions: DatabaseTransactionService
) -> None:
    """Whatever kind it was. What could not be deleted is told once more, by a replay."""
    async with db.connect() as connection:
        for statement in REFUSED_DELETES:
            await connection.execute(text(statement))
    try:
        await transactions.execute_in_transaction(emit(uuid4(), 1))
        await relay.close()
    finally:
        async with db.connect() as connection:
            await connection.execute(text("DROP FUNCTION refuse CASCADE"))
    assert await rows(db) == 1
    await transactions.execute_in_transaction(emit(uuid4(), 2))
    await relay.close()
    assert await rows(db) == 1
    assert await relay.replay(older_than=AT_ONCE) == 1
    assert await rows(db) == 0


REFUSED_DELETES = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not now''; END'",
    "CREATE TRIGGER refuse BEFORE DELETE ON outbox FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
)
