"""Callers that leave, callers that are late, and callers that wait, all at once on a network that splits every message:
whatever becomes of the others, who waits gets an answer of his own."""

import asyncio
import contextlib
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import make_url, text

from services.backends.database import Database
from services.backends.deadline import deadline_in
from services.domain.errors import TimedOut
from tests.faulty import FaultyNetwork, through
from tests.services.backends.watching import backends_of, eventually

CALLERS, ROUNDS = 8, 25
PIECES = (1, 3, 5, 6, 7, 40, 65_536)
"""Bytes: so that cancellations and time-outs fall between the parts of one answer too."""
WAYS = ("value", "connect", "begin")


class Splitting(FaultyNetwork):
    """Passes everything on in pieces, some of them late."""

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                while data:
                    size = random.choice(PIECES)  # noqa: S311 - any will do
                    sink.write(data[:size])
                    await sink.drain()
                    data = data[size:]
                    await asyncio.sleep(random.choice((0, 0, 0, 0.002)))  # noqa: S311
        sink.close()
        self._writers.discard(sink)


async def ask(database: Database, number: int, way: str) -> int:
    """The number, by one statement or by two."""
    if way == "value":
        return int(await database.read_value("SELECT $1::int FROM pg_sleep(0.003)", (number,)))
    asked = text("SELECT CAST(:n AS int) FROM pg_sleep(0.003)")
    async with getattr(database, way)() as c:
        first = int(await c.scalar(asked, {"n": number}))
        assert await c.scalar(asked, {"n": number + 1}) == first + 1
        return first


@pytest.mark.parametrize("seed", range(2))
async def test_who_waits_is_answered_whatever_becomes_of_the_others(
    make_database: Any, db: Database, database_url: str, seed: int
) -> None:
    """A third is cancelled at any moment, a third is out of time at any moment; the pool is whole afterwards."""
    chance = random.Random(seed)  # noqa: S311 - a test's
    folder = make_url(database_url).query.get("host")
    if not isinstance(folder, str):
        pytest.skip("the server is no socket of ours")
    ends: Counter[str] = Counter()
    async with Splitting(host=f"{folder}/.s.PGSQL.{make_url(database_url).query['port']}") as network:
        database: Database = await make_database(
            url=through(database_url, network),
            pool_min=2,
            pool_max=4,
            acquire_timeout=timedelta(seconds=30),
            statement_timeout=timedelta(seconds=30),
            application_name="mixture",
        )

        async def call(number: int) -> None:
            way, fate = chance.choice(WAYS), chance.choice(("waits", "leaves", "is late"))
            moment = chance.uniform(0, 0.06)
            with deadline_in(timedelta(seconds=moment)) if fate == "is late" else contextlib.nullcontext():
                task = asyncio.create_task(ask(database, number, way))
            if fate == "leaves":
                await asyncio.sleep(moment)
                task.cancel()
            [end] = await asyncio.gather(task, return_exceptions=True)
            ends[fate] += 1
            allowed = {"waits": (), "leaves": (asyncio.CancelledError,), "is late": (TimedOut,)}[fate]
            assert end == number or isinstance(end, allowed), (fate, way, end)

        async def keep_calling(first: int) -> None:
            for number in range(first, first + ROUNDS):
                await call(number)

        await asyncio.gather(*(keep_calling(100 * caller) for caller in range(CALLERS)))
        await eventually(lambda: database.usage().in_use == 0, within=20)
        assert await backends_of(db, "mixture", "state <> 'idle'") == 0
        assert await asyncio.gather(*(ask(database, n, WAYS[n % 3]) for n in range(12))) == list(range(12))
    assert len(ends) == 3
