"""The cache among many callers: one load for all, nothing from before a commit, nobody else's values."""

import asyncio
import traceback
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from services.backends.cache import CacheService
from services.backends.database import Database
from services.backends.deadline import deadline_in
from services.backends.redis import RedisGate
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.caching import CacheScope
from services.domain.errors import NotFound, TimedOut
from services.domain.events import Event
from tests.services.backends.caching import OTHER, VIEWER, Source, ask, raise_tag


async def test_five_hundred_concurrent_misses_load_once(cache: CacheService, elsewhere: CacheService) -> None:
    """However many ask at once, in two processes, the value is loaded once and everybody has it."""
    source = Source(b"value", takes=0.1)
    answers = await asyncio.gather(*(ask(which, source.load) for _ in range(250) for which in (cache, elsewhere)))
    assert answers == [b"value"] * 500
    assert source.loads == 1


async def test_load_that_a_commit_overtakes_leaves_nothing(cache: CacheService, gate: RedisGate) -> None:
    """A load that began before a tag was raised answers its own callers; later ones do not even join it."""
    old, new = Source(b"old", takes=0.2), Source(b"new")
    overtaken = asyncio.create_task(ask(cache, old.load))
    await asyncio.sleep(0.05)
    await raise_tag(gate)
    assert await ask(cache, new.load) == b"new"
    assert await overtaken == b"old"
    assert await ask(cache, new.load) == b"new"
    assert (old.loads, new.loads) == (1, 1)


async def test_no_reader_gets_what_was_before_a_commit(
    cache: CacheService, elsewhere: CacheService, transactions: DatabaseTransactionService, db: Database
) -> None:
    """Readers in two processes beside a writer: each sees at least what was committed before it asked."""
    committed = 0
    reads = 0
    stopping = asyncio.Event()

    async def load() -> bytes:
        async with db.connect() as connection:
            count = await connection.scalar(text("SELECT count FROM things WHERE id = 1"))
        await asyncio.sleep(0.002)
        return str(count).encode()

    async def write() -> None:
        nonlocal committed

        async def work(tx: Transaction) -> None:
            await tx.connection.execute(text("UPDATE things SET count = count + 1 WHERE id = 1"))
            await tx.emit(Event(VIEWER, "CHANGED", {}, ("posts",)))

        for _ in range(60):
            await transactions.execute_in_transaction(work)
            committed += 1
            await asyncio.sleep(0.004)
        stopping.set()

    async def read(which: CacheService) -> None:
        nonlocal reads
        while not stopping.is_set():
            before = committed
            assert int(await ask(which, load) or 0) >= before
            reads += 1

    await asyncio.gather(write(), *(read(which) for which in (cache, elsewhere) for _ in range(4)))
    assert reads > 100


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([VIEWER, OTHER]),
            st.sampled_from(["posts", "accounts", "posts/" + OTHER.hex]),
            st.sampled_from(["", "a", OTHER.hex, f"{VIEWER.hex}:a", "*", "a|b"]),
            st.sampled_from([(), ("shared",)]),
        ),
        min_size=1,
        max_size=20,
    )
)
async def test_no_viewer_sees_anothers_value(
    cache: CacheService, steps: list[tuple[UUID, str, str, tuple[str, ...]]]
) -> None:
    """Whatever two viewers ask, in whatever order: what comes back was loaded for that viewer and that question."""
    for viewer, resolver, key, tags in steps:
        mine = f"{viewer}/{resolver}/{key}/{len(tags)}".encode()

        async def load(mine: bytes = mine) -> bytes:
            return mine

        full_key = f"{key}?{len(tags)}"
        assert await cache.get_or_set(full_key, load, resolver=resolver, viewer=viewer, tags=tags) == mine


async def test_resolver_name_cannot_run_into_the_key(cache: CacheService) -> None:
    """`a:b` with key `c` would be `a` with key `b:c`."""
    with pytest.raises(ValueError, match="colon"):
        await ask(cache, Source(b"value").load, resolver="posts:page")


async def test_private_is_the_default(cache: CacheService) -> None:
    """Without a viewer nothing is cached as if it were everybody's, nor is a viewer's value as public."""
    source = Source(b"value")
    with pytest.raises(ValueError, match="scope"):
        await ask(cache, source.load, viewer=None)
    with pytest.raises(ValueError, match="scope"):
        await ask(cache, source.load, scope=CacheScope.PUBLIC)
    for _ in range(2):
        assert await ask(cache, source.load, viewer=None, scope=CacheScope.PUBLIC) == b"value"
    assert source.loads == 1


async def test_caller_that_leaves_fails_nobody(cache: CacheService) -> None:
    """The first of three callers is cancelled: the load goes on, and the other two have its value."""
    source = Source(b"value", takes=0.1)
    first = asyncio.create_task(ask(cache, source.load))
    await asyncio.sleep(0.02)
    others = [asyncio.create_task(ask(cache, source.load)) for _ in range(2)]
    await asyncio.sleep(0.02)
    first.cancel()
    assert await asyncio.gather(*others) == [b"value"] * 2
    assert first.cancelled()
    assert source.loads == 1


async def test_impatient_caller_fails_nobody(cache: CacheService, db: Database) -> None:
    """A caller whose deadline ends is told TIMEOUT; the load it began has time of its own and serves the others."""

    async def load() -> bytes:
        async with db.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(0.3)"))
        return b"value"

    async def be_impatient() -> None:
        with deadline_in(timedelta(milliseconds=100)):
            await ask(cache, load)

    impatient = asyncio.create_task(be_impatient())
    await asyncio.sleep(0.02)
    assert await ask(cache, load) == b"value"
    with pytest.raises(TimedOut):
        await impatient


async def test_load_inside_a_transaction_reads_what_is_committed(
    cache: CacheService, transactions: DatabaseTransactionService
) -> None:
    """What a transaction has not committed never gets into the cache, though its own work asked for the load."""

    async def load() -> bytes:
        async def look(tx: Transaction) -> Any:
            return await tx.connection.scalar(text("SELECT count FROM things WHERE id = 1"))

        return str(await transactions.execute_in_transaction(look, read_only=True)).encode()

    async def work(tx: Transaction) -> bytes | None:
        await tx.connection.execute(text("UPDATE things SET count = 7 WHERE id = 1"))
        return await ask(cache, load)

    assert await transactions.execute_in_transaction(work) == b"0"


async def test_error_reaches_everybody_and_is_not_kept(cache: CacheService) -> None:
    """All callers of a failing load get its error, each with a trace of its own; the next one loads again."""
    loads = 0

    async def fail() -> bytes:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.05)
        raise NotFound("not here")

    outcomes = await asyncio.gather(*(ask(cache, fail) for _ in range(100)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {NotFound}
    assert max(len(traceback.extract_tb(outcome.__traceback__)) for outcome in outcomes if outcome) < 12  # type: ignore[union-attr] # they are errors
    before = loads
    assert await ask(cache, Source(b"value").load) == b"value"
    assert before == 1
