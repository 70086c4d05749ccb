"""Behind a real PgBouncer in transaction mode nothing is mixed up, left behind, or left running."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.backends.database import Database
from services.backends.deadline import deadline_in
from services.backends.faults import CommitUnknown, DatabaseAway
from services.domain.errors import CrierError, TimedOut
from tests.pgbouncer import SERVERS, PgBouncer, pgbouncer_before
from tests.services.backends.watching import backends_of, eventually

SOON = timedelta(milliseconds=120)


@pytest.fixture
async def bouncer(database_url: str) -> AsyncIterator[PgBouncer]:
    """A PgBouncer before the run's PostgreSQL."""
    async with pgbouncer_before(database_url) as bouncer:
        yield bouncer


@pytest.fixture
def make_pool(make_database: Any, bouncer: PgBouncer) -> Callable[[timedelta], Awaitable[Database]]:
    """Opens one process's pool, with more connections than PgBouncer has for all."""

    async def make(statement_timeout: timedelta) -> Database:
        database: Database = await make_database(
            url=bouncer.url,
            pool_min=2,
            pool_max=5,
            max_waiting=500,
            acquire_timeout=timedelta(seconds=60),
            statement_timeout=statement_timeout,
            through_pgbouncer=True,
            application_name="bounced",
        )
        return database

    return make


@pytest.fixture
async def pools(make_pool: Callable[[timedelta], Awaitable[Database]]) -> list[Database]:
    """Two of them, patient: a busy machine is no fault."""
    return [await make_pool(timedelta(seconds=30)) for _ in range(2)]


async def ask(database: Database, number: int) -> int:
    """`number`, by one of the ways on which the product asks; each `number` in words of its own."""
    match number % 3:
        case 0:
            async with database.connect() as c:
                asked = text(f"SELECT CAST(:n AS int) AS n_{number} FROM pg_sleep(0.001)")
                first = await c.scalar(asked, {"n": number})
                assert first == await c.scalar(asked, {"n": number})
                return int(first)
        case 1:
            return int(await database.read_value(f"SELECT $1::int AS n_{number} FROM pg_sleep(0.001)", (number,)))
        case _:
            async with database.begin() as c:
                await c.execute(text("UPDATE things SET count = count + 1 WHERE id = :id"), {"id": 1 + number % 2})
                return int(await c.scalar(text(f"SELECT CAST(:n AS int) AS n_{number}"), {"n": number}))


async def test_hundreds_of_statements_on_two_servers_get_their_own_answers(db: Database, pools: list[Database]) -> None:
    """Statements and transactions of many clients, in turn on the same few servers, and nothing is left on those."""
    answers = await asyncio.gather(*(ask(pools[number // 3 % 2], number) for number in range(600)))

    assert answers == list(range(600))
    assert await backends_of(db, "bounced") <= SERVERS
    for _ in range(10):
        async with AsyncExitStack() as stack:
            for _ in range(SERVERS):
                c = await stack.enter_async_context(pools[0].begin())
                assert await c.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0
                assert await c.scalar(text("SHOW TimeZone")) == "UTC"
    async with db.connect() as c:
        assert await c.scalar(text("SELECT sum(count) FROM things")) == 200


async def test_limits_hold_in_transactions_and_do_not_outlive_them(pools: list[Database]) -> None:
    """They are set with BEGIN; the next client on that server has the server's own."""
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit")
    for _ in range(5):
        async with pools[0].begin() as c:
            assert [await c.scalar(text(f"SHOW {name}")) for name in names] == ["30s", "1s", "10s", "off"]
        async with pools[1].connect() as c:
            assert await c.scalar(text("SHOW statement_timeout")) == "0"


@pytest.mark.parametrize("way", ["connect", "begin"])
async def test_statements_end_with_the_deadline_and_their_servers_serve_on(
    db: Database, pools: list[Database], way: str
) -> None:
    """The cancellation goes through PgBouncer too: nothing runs on, and both pools are whole."""

    async def be_late(database: Database) -> None:
        with pytest.raises(TimedOut), deadline_in(SOON):
            async with getattr(database, way)() as c:
                await c.execute(text("SELECT pg_sleep(30)"))

    for _ in range(10):
        await asyncio.gather(*(be_late(database) for database in pools))

    await eventually(lambda: pools[0].usage().in_use == pools[1].usage().in_use == 0)
    assert await backends_of(db, "bounced", "state <> 'idle'") == 0
    assert await asyncio.gather(*(ask(pools[n % 2], n) for n in range(40))) == list(range(40))


async def test_read_without_a_deadline_ends_by_the_statement_timeout(
    db: Database, make_pool: Callable[[timedelta], Awaitable[Database]]
) -> None:
    """No session's setting ends it, so our own patience does, after the same time, and cancels it at the server."""
    database = await make_pool(timedelta(seconds=1))
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimedOut):
        await database.read_value("SELECT 1 FROM pg_sleep(30)", ())
    assert 0.9 < loop.time() - began < 2.9
    await eventually(lambda: database.usage().in_use == 0)
    assert await backends_of(db, "bounced", "state <> 'idle'") == 0


async def test_who_is_cancelled_takes_nobody_along(db: Database, pools: list[Database]) -> None:
    """Half of 400 callers are cancelled at any moment; every other gets its own answer, and nothing runs on."""
    tasks = [asyncio.create_task(ask(pools[number // 3 % 2], number)) for number in range(400)]
    for number in range(0, 400, 2):
        await asyncio.sleep(0.003)
        tasks[number].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [outcomes[number] for number in range(1, 400, 2)] == list(range(1, 400, 2))
    assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    await eventually(lambda: pools[0].usage().in_use == pools[1].usage().in_use == 0)
    assert await backends_of(db, "bounced", "state <> 'idle'") == 0
    assert await asyncio.gather(*(ask(pools[n % 2], n) for n in range(40))) == list(range(40))


async def test_pgbouncer_that_is_killed_is_an_outage_and_then_forgotten(
    bouncer: PgBouncer, db: Database, pools: list[Database]
) -> None:
    """UNAVAILABLE while it is gone, in whatever way a caller asks; all is well once it is back."""
    told: Counter[object] = Counter()

    async def keep_asking(until: asyncio.Event) -> None:
        number = 0
        while not until.is_set():
            number += 1
            try:
                told[await ask(pools[number % 2], number) == number] += 1
            except CrierError as error:
                told[type(error)] += 1
                await asyncio.sleep(0.01)

    over = asyncio.Event()
    crowd = [asyncio.create_task(keep_asking(over)) for _ in range(8)]
    await asyncio.sleep(0.3)
    bouncer.kill()
    await asyncio.sleep(0.3)
    bouncer.start()
    with suppress(CrierError):
        await asyncio.sleep(0.5)
    over.set()
    await asyncio.gather(*crowd)

    assert told[True] > 0
    assert told[DatabaseAway] > 0
    assert set(told) <= {True, DatabaseAway, TimedOut, CommitUnknown}  # the last where COMMIT was under way
    assert await asyncio.gather(*(ask(pools[n % 2], n) for n in range(40))) == list(range(40))
