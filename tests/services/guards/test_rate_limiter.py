"""The rate limiter's own road: take a slot, run, settle."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.backends.database import Database
from services.backends.deadline import deadline_in
from services.backends.statements import BoundedConnection, tally_statements
from services.domain.accounts import Platform
from services.domain.errors import ErrorCode, RateLimited
from services.domain.limits import HOUR, NeverLeft, RateLimit, Window
from services.guards.quotas import Quotas
from services.guards.rate_limiter import RateLimiterService

ADA = "user:ada"
LIMITS = {Platform.INSTAGRAM: 25, Platform.FACEBOOK: 3, Platform.YOUTUBE: 1}


class NoConnection(NeverLeft):
    """What a platform's client raises where nothing left."""


@pytest.fixture
def limiter(pool: Database) -> RateLimiterService:
    """The limiter by the database's own clock."""
    return RateLimiterService(database=pool, quotas=Quotas(), limits=LIMITS)


async def publish() -> str:
    return "published"


async def used(limiter: RateLimiterService, platform: Platform = Platform.FACEBOOK) -> int:
    return (await limiter.get_rate_limit_info(ADA, platform)).used


async def test_26th_publication_of_an_hour_is_refused(limiter: RateLimiterService) -> None:
    """It does not run, and is told when the first of the 25 is an hour old."""
    runs = []

    async def count() -> None:
        runs.append(datetime.now(UTC))

    for _ in range(25):
        await limiter.throttle(ADA, Platform.INSTAGRAM, count)
    with pytest.raises(RateLimited) as refusal:
        await limiter.throttle(ADA, Platform.INSTAGRAM, count)

    assert len(runs) == 25
    assert refusal.value.code is ErrorCode.RATE_LIMITED
    assert refusal.value.reset_at is not None
    assert timedelta(0) <= refusal.value.reset_at - (runs[0] + HOUR) < timedelta(seconds=1)
    assert refusal.value.retry_after == pytest.approx(3600, abs=10)


async def test_throttle_returns_what_the_call_returned(limiter: RateLimiterService) -> None:
    """A slot is taken, ended, and the answer handed on."""
    assert await limiter.throttle(ADA, Platform.FACEBOOK, publish) == "published"

    assert await used(limiter) == 1


async def test_window_slides(pool: Database, clock: Any) -> None:
    """A limit of 3 in 10 seconds, whose places come free one by one."""
    limiter = RateLimiterService(
        database=pool, quotas=Quotas(clock=clock.sql), limits=LIMITS, length=timedelta(seconds=10)
    )
    for _ in range(3):
        await limiter.throttle(ADA, Platform.FACEBOOK, publish)
        await clock.advance(timedelta(seconds=3))

    with pytest.raises(RateLimited) as refusal:
        await limiter.throttle(ADA, Platform.FACEBOOK, publish)
    assert (refusal.value.retry_after, refusal.value.reset_at) == (1, clock.now + timedelta(seconds=1))
    await clock.advance(timedelta(seconds=1))
    await limiter.throttle(ADA, Platform.FACEBOOK, publish)
    with pytest.raises(RateLimited):
        await limiter.throttle(ADA, Platform.FACEBOOK, publish)


async def test_call_that_never_left_gives_its_slot_back(limiter: RateLimiterService) -> None:
    """The error reaches the caller, the place does not count."""

    async def find_no_connection() -> None:
        raise NoConnection

    with pytest.raises(NoConnection):
        await limiter.throttle(ADA, Platform.FACEBOOK, find_no_connection)

    assert await used(limiter) == 0


async def test_call_that_failed_keeps_its_slot(limiter: RateLimiterService) -> None:
    """Any other error may mean that people see the post."""

    async def fail() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await limiter.throttle(ADA, Platform.FACEBOOK, fail)

    assert await used(limiter) == 1


async def test_cancelled_call_keeps_its_slot_and_ends_it(limiter: RateLimiterService, pool: Database) -> None:
    """Cancelled in mid-call, the slot's hour begins all the same."""
    runs = asyncio.Event()

    async def hang() -> None:
        runs.set()
        await asyncio.Event().wait()

    call = asyncio.create_task(limiter.throttle(ADA, Platform.FACEBOOK, hang))
    await runs.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    async with pool.connect() as connection:
        ended = await connection.scalar(text("SELECT ended_at FROM quota_slots"))
    assert ended is not None
    assert await used(limiter) == 1


async def test_cancelled_before_the_call_holds_no_slot(limiter: RateLimiterService, database: AsyncEngine) -> None:
    """A caller who leaves while the slot's COMMIT is on its way gets no slot, though the commit comes through."""
    async with database.begin() as connection:
        await connection.execute(text(SLOW_COMMIT))
        await connection.execute(text(SLOW_COMMIT_TRIGGER))
    try:
        call = asyncio.create_task(limiter.throttle(ADA, Platform.FACEBOOK, publish))
        await asyncio.sleep(0.4)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    finally:
        async with database.begin() as connection:
            await connection.execute(text("DROP FUNCTION commit_slowly CASCADE"))

    assert await used(limiter) == 0


SLOW_COMMIT = """
CREATE FUNCTION commit_slowly() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_sleep(0.8); RETURN NULL; END'
"""
SLOW_COMMIT_TRIGGER = """
CREATE CONSTRAINT TRIGGER commit_slowly AFTER INSERT ON quota_slots
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION commit_slowly()
"""


async def test_same_delivery_takes_one_slot(limiter: RateLimiterService) -> None:
    """A second try of the only publication that is allowed goes through."""
    for _ in range(2):
        await limiter.throttle(ADA, Platform.YOUTUBE, publish, delivery="the one")

    assert await used(limiter, Platform.YOUTUBE) == 1
    with pytest.raises(RateLimited):
        await limiter.throttle(ADA, Platform.YOUTUBE, publish)


async def test_no_transaction_is_open_during_the_call(limiter: RateLimiterService, pool: Database) -> None:
    """While a platform is called the pool is whole."""

    async def look() -> int:
        return pool.usage().in_use

    assert await limiter.throttle(ADA, Platform.FACEBOOK, look) == 0


async def test_result_survives_the_database(limiter: RateLimiterService, pool: Database) -> None:
    """What the platform answered reaches the caller even where the slot's end can no longer be written."""

    async def lose_the_table() -> str:
        async with pool.begin() as connection:
            await connection.execute(text("ALTER TABLE quota_slots RENAME TO quota_slots_hidden"))
        return "published"

    try:
        assert await limiter.throttle(ADA, Platform.FACEBOOK, lose_the_table) == "published"
    finally:
        async with pool.begin() as connection:
            await connection.execute(text("ALTER TABLE quota_slots_hidden RENAME TO quota_slots"))


class Fragile(BoundedConnection):
    """Breaks as the first slot's end is written."""

    has_broken = False

    async def fetch_rows(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """The rows, if it still stands."""
        if "SET ended_at" in query and not Fragile.has_broken:
            Fragile.has_broken = True
            self.terminate()
        return await super().fetch_rows(query, *args)


@pytest.mark.usefixtures("database")
async def test_slot_is_settled_though_a_connection_breaks(database_url: str) -> None:
    """Otherwise its place would be gone for a day."""
    Fragile.has_broken = False
    pool = Database(url=database_url, pool_min=1, pool_max=2, connection_class=Fragile)
    try:
        limiter = RateLimiterService(database=pool, quotas=Quotas(), limits=LIMITS)
        assert await limiter.throttle(ADA, Platform.FACEBOOK, publish) == "published"
        assert Fragile.has_broken
        assert await pool.read_value("SELECT count(ended_at) FROM quota_slots", ()) == 1
    finally:
        await pool.close()


async def test_slot_is_settled_after_the_deadline(limiter: RateLimiterService, pool: Database) -> None:
    """The operation's time is over when its call ends; the slot's hour begins nevertheless."""

    async def take_too_long() -> str:
        await asyncio.sleep(0.3)
        return "published"

    with deadline_in(timedelta(seconds=0.2)):
        assert await limiter.throttle(ADA, Platform.FACEBOOK, take_too_long) == "published"

    async with pool.connect() as connection:
        assert await connection.scalar(text("SELECT ended_at FROM quota_slots")) is not None


async def test_info_tells_what_is_left(limiter: RateLimiterService) -> None:
    """Fresh: nothing used and nothing to wait for; then one less."""
    fresh = await limiter.get_rate_limit_info(ADA, Platform.FACEBOOK)
    assert abs(fresh.as_of - datetime.now(UTC)) < timedelta(seconds=10)
    assert fresh == RateLimit(
        key=ADA,
        platform=Platform.FACEBOOK,
        limit=3,
        used=0,
        remaining=3,
        reset_at=None,
        window_seconds=3600,
        as_of=fresh.as_of,
    )
    await limiter.throttle(ADA, Platform.FACEBOOK, publish)

    info = await limiter.get_rate_limit_info(ADA, Platform.FACEBOOK)

    assert (info.used, info.remaining) == (1, 2)
    assert info.reset_at is not None
    assert abs(info.reset_at - datetime.now(UTC) - HOUR) < timedelta(seconds=10)


async def test_many_infos_cost_one_statement(limiter: RateLimiterService) -> None:
    """A loader's batch, in the order asked, repetitions included."""
    await limiter.throttle(ADA, Platform.FACEBOOK, publish)
    keys = [(f"user:{n}", platform) for n in range(20) for platform in Platform]
    keys += [(ADA, Platform.FACEBOOK), (ADA, Platform.YOUTUBE), (ADA, Platform.FACEBOOK)]

    with tally_statements() as tally:
        infos = await limiter.load_rate_limit_infos(keys)

    assert tally.statements == 1
    assert [(info.key, info.platform) for info in infos] == keys
    assert [info.used for info in infos[-3:]] == [1, 0, 1]


async def test_claim_of_many_costs_two_statements(limiter: RateLimiterService, pool: Database) -> None:
    """However many deliveries and windows."""
    requests = [(f"d{n}", [limiter.window(f"user:{n % 7}", Platform.INSTAGRAM)]) for n in range(50)]

    async with pool.begin() as connection:
        with tally_statements() as tally:
            assert await Quotas().take_many(connection, requests) == {}

    assert tally.statements == 2


async def test_peek_looks_into_any_window(limiter: RateLimiterService) -> None:
    """A platform's own windows too, and nothing is taken."""
    day = Window("project|YOUTUBE|day", 100, timedelta(days=1))

    for _ in range(2):
        [hour, whole_day] = await limiter.peek([limiter.window(ADA, Platform.YOUTUBE), day])
        assert (hour.remaining, whole_day.remaining) == (1, 100)


async def test_reset_gives_the_whole_limit_again(limiter: RateLimiterService) -> None:
    """For one key and platform, and nobody else."""
    await limiter.throttle(ADA, Platform.YOUTUBE, publish)
    await limiter.throttle("user:bob", Platform.YOUTUBE, publish)

    await limiter.reset(ADA, Platform.YOUTUBE)

    assert await limiter.throttle(ADA, Platform.YOUTUBE, publish) == "published"
    with pytest.raises(RateLimited):
        await limiter.throttle("user:bob", Platform.YOUTUBE, publish)


async def test_flushed_redis_gives_nobody_a_second_quota(limiter: RateLimiterService, redis: Redis) -> None:
    """Quotas are PostgreSQL's."""
    await limiter.throttle(ADA, Platform.YOUTUBE, publish)
    await redis.flushdb()

    with pytest.raises(RateLimited):
        await limiter.throttle(ADA, Platform.YOUTUBE, publish)
