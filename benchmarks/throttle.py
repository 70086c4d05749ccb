"""What a quota slot and a viewer's budget cost: `python -m benchmarks.throttle`, on servers of its own.

Beside them, in the same run: the same SQL on a bare asyncpg connection, and the bare Redis script. PostgreSQL syncs
every commit to disk, as it does where it matters.
"""

import itertools
import tempfile
from pathlib import Path

import asyncpg
import uvloop
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from app.embedded import EmbeddedServers
from app.migrating import migrate_database
from benchmarks.rounds import compare
from services.backends.database import Database
from services.backends.redis import RedisGate
from services.domain.accounts import Platform
from services.domain.limits import DAY, HOUR, Window
from services.guards import quota_statements as sql
from services.guards.api_budget import ApiBudget
from services.guards.quotas import LONGEST_CALL, Quotas
from services.guards.rate_limiter import RateLimiterService

PLENTY = 10_000_000
KEYS = 1000
"""Windows over which publications are spread: each holds as many slots as a busy person's hour does."""


async def nothing() -> None:
    """What is throttled."""


async def quotas(database_url: str) -> None:
    """One publication for one person, by `throttle` and by the bare statements; a claim of fifty; a loader's batch."""
    await migrate_database(database_url)
    database = Database(url=database_url, pool_min=2, pool_max=5)
    await database.open()
    ledger = Quotas()
    limiter = RateLimiterService(database=database, quotas=ledger, limits=dict.fromkeys(Platform, PLENTY))
    number = itertools.count()
    bare = await Bare.connect(database_url)

    async def throttle() -> None:
        await limiter.throttle(f"user:{next(number) % KEYS}", Platform.INSTAGRAM, nothing)

    async def bare_throttle() -> None:
        await bare.publish(f"bare:{next(number) % KEYS}", f"d{next(number)}")

    async def claim_fifty() -> None:
        batch = next(number)
        requests = [
            (
                f"b{batch}-{n}",
                [
                    limiter.window(f"claim:{(batch * 50 + n) % KEYS}", Platform.YOUTUBE),
                    Window(f"account:{(batch * 50 + n) % KEYS}|day", PLENTY, DAY),
                ],
            )
            for n in range(50)
        ]
        async with database.begin() as connection:
            await ledger.take_many(connection, requests)
        async with database.connect() as connection:
            await ledger.give_back(connection, [delivery for delivery, _ in requests])

    infos = [(f"user:{n}", platform) for n in range(17) for platform in Platform]
    print("Platform quotas, in PostgreSQL:")
    await compare(
        {
            "bare asyncpg: BEGIN, lock, take, COMMIT, end": bare_throttle,
            "throttle": throttle,
            "get_rate_limit_info": lambda: limiter.get_rate_limit_info("user:1", Platform.INSTAGRAM),
            "load_rate_limit_infos of 51 windows": lambda: limiter.load_rate_limit_infos(infos),
            "claim of 50 with two windows each, given back": claim_fifty,
        },
        rounds=9,
        calls=60,
    )
    await bare.connection.close()
    await database.close()


class Bare:
    """The same statements on a connection of asyncpg's own."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection
        self._lock, self._lock_names = positional(sql.LOCK)
        self._take, self._take_names = positional(sql.TAKE)
        self._end, self._end_names = positional(sql.END)

    @classmethod
    async def connect(cls, database_url: str) -> "Bare":
        """One connection, nothing around it."""
        return cls(await asyncpg.connect(make_url(database_url).set(drivername="postgresql").render_as_string(False)))

    async def publish(self, key: str, delivery: str) -> None:
        """Take a slot and end it."""
        values = {
            "keys": [hash(key)],
            "names": [key],
            "limits": [PLENTY],
            "lengths": [HOUR],
            "longest_call": LONGEST_CALL,
            "deliveries": [delivery],
            "asking": [1],
            "asked": [1],
        }
        async with self.connection.transaction():
            await self.connection.fetch(self._lock, *(values[name] for name in self._lock_names))
            await self.connection.fetch(self._take, *(values[name] for name in self._take_names))
        await self.connection.execute(self._end, *(values[name] for name in self._end_names))


def positional(template: str) -> tuple[str, list[str]]:
    """A statement as asyncpg wants it, and the names of its arguments in order."""
    compiled = sql.statement(template, clock="clock_timestamp()").compile(
        dialect=dialect()  # type: ignore[no-untyped-call] # untyped upstream
    )
    return str(compiled), list(compiled.positiontup or ())


async def budget(redis_url: str) -> None:
    """One spending, by the service and by the bare script."""
    gate = RedisGate(url=redis_url)
    await gate.open()
    guarded = ApiBudget(gate=gate, capacity=PLENTY, per_second=PLENTY, on_unguarded=lambda: None)
    sha = await gate.client.script_load(guarded._script.script)

    print("The API's budget, in Redis:")
    await compare(
        {
            "bare script (EVALSHA)": lambda: gate.client.evalsha(sha, 1, "bare", 10, PLENTY, PLENTY, ""),
            "spend": lambda: guarded.spend("key:1", 10),
        }
    )
    await gate.close()


async def main(database_url: str, redis_url: str) -> None:
    """Both, one after the other."""
    await budget(redis_url)
    await quotas(database_url)


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(prefix="crier-benchmark-") as folder,
        EmbeddedServers(data_dir=Path(folder)) as servers,
    ):
        uvloop.run(main(servers.database_url, servers.redis_url))
