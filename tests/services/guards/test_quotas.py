"""The slots of platform quotas."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.backends.database import Database, Isolation
from services.domain.accounts import Platform
from services.domain.limits import DAY, HOUR, LimitReached, Window, WindowUse, account_day, project_date
from services.guards.quotas import Quotas

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
PERSON = Window("user:ada|INSTAGRAM|hour", 2, HOUR)


class Ledger:
    """`Quotas` with a transaction around every call."""

    def __init__(self, pool: Database, quotas: Quotas) -> None:
        self._pool = pool
        self._quotas = quotas

    async def take(self, *requests: tuple[str, Sequence[Window]]) -> dict[str, LimitReached]:
        async with self._pool.begin() as connection:
            return await self._quotas.take_many(connection, requests)

    async def end(self, *deliveries: str) -> None:
        async with self._pool.begin() as connection:
            await self._quotas.end(connection, deliveries)

    async def give_back(self, *deliveries: str) -> None:
        async with self._pool.begin() as connection:
            await self._quotas.give_back(connection, deliveries)

    async def count(self, *windows: Window) -> list[WindowUse]:
        async with self._pool.connect() as connection:
            return await self._quotas.count(connection, windows)

    async def used(self, window: Window) -> int:
        return (await self.count(window))[0].used

    async def clear(self, window: Window) -> None:
        async with self._pool.begin() as connection:
            await self._quotas.clear(connection, window)

    async def sweep(self, **bounds: Any) -> int:
        async with self._pool.begin() as connection:
            return await self._quotas.sweep(connection, **bounds)


@pytest.fixture
def ledger(pool: Database, clock: Any) -> Ledger:
    """Quotas by a clock that stands still until the test moves it."""
    return Ledger(pool, Quotas(longest_call=DAY, clock=clock.sql))


async def test_take_refuses_what_the_window_cannot_hold(ledger: Ledger, clock: Any) -> None:
    """The third of two is told which window is full and when the first place comes free."""
    await ledger.take(("a", [PERSON]))
    await ledger.end("a")
    await clock.advance(10 * MINUTE)
    await ledger.take(("b", [PERSON]))

    refusals = await ledger.take(("c", [PERSON]))

    assert refusals == {"c": LimitReached(PERSON, free_at=clock.now + 50 * MINUTE, retry_after=50 * 60.0)}
    assert await ledger.used(PERSON) == 2


async def test_slot_counts_from_the_end_of_the_call(ledger: Ledger, clock: Any) -> None:
    """A call of 20 minutes holds its place for an hour after it ended, not after it began."""
    await ledger.take(("slow", [PERSON]))
    await clock.advance(20 * MINUTE)
    await ledger.end("slow")

    await clock.advance(HOUR - SECOND)
    assert await ledger.used(PERSON) == 1
    await clock.advance(SECOND)
    assert await ledger.used(PERSON) == 0


async def test_running_call_counts_however_long_it_takes(ledger: Ledger, clock: Any) -> None:
    """A slot that nobody ended yet is not free after an hour."""
    await ledger.take(("endless", [PERSON]))

    await clock.advance(5 * HOUR)

    assert await ledger.used(PERSON) == 1


async def test_call_of_a_dead_process_is_forgotten_in_the_end(ledger: Ledger, clock: Any) -> None:
    """After the longest call and the window's length nobody waits for it any more."""
    await ledger.take(("orphan", [PERSON]))

    await clock.advance(DAY + HOUR - SECOND)
    assert await ledger.used(PERSON) == 1
    await clock.advance(SECOND)
    assert await ledger.used(PERSON) == 0


async def test_same_delivery_again_takes_no_second_slot(ledger: Ledger) -> None:
    """A retry goes through a full window on the slot it holds."""
    assert await ledger.take(("a", [PERSON]), ("b", [PERSON]), ("a", [PERSON])) == {}
    await ledger.end("a")

    assert await ledger.take(("a", [PERSON])) == {}
    assert await ledger.used(PERSON) == 2


async def test_retry_after_its_slot_has_run_out_counts_anew(ledger: Ledger, clock: Any) -> None:
    """An id is no pass for ever."""
    await ledger.take(("a", [PERSON]))
    await ledger.end("a")
    await clock.advance(2 * HOUR)
    await ledger.take(("b", [PERSON]), ("c", [PERSON]))

    assert set(await ledger.take(("a", [PERSON]))) == {"a"}


async def test_give_back_frees_the_place_at_once(ledger: Ledger) -> None:
    """What never left does not count."""
    await ledger.take(("a", [PERSON]), ("b", [PERSON]))

    await ledger.give_back("a")

    assert await ledger.used(PERSON) == 1


async def test_give_back_of_a_retry_leaves_what_left_before(ledger: Ledger, clock: Any) -> None:
    """The first call reached the platform, the second did not: the first still counts, from its own end."""
    await ledger.take(("a", [PERSON]))
    await ledger.end("a")
    await clock.advance(10 * MINUTE)
    await ledger.take(("a", [PERSON]))

    await ledger.give_back("a")

    [use] = await ledger.count(PERSON)
    assert (use.used, use.reset_at) == (1, clock.now + 50 * MINUTE)


async def test_end_comes_once(ledger: Ledger, clock: Any) -> None:
    """Telling the end a second time does not move it, and a slot that ended is not given back."""
    await ledger.take(("a", [PERSON]))
    await ledger.end("a")
    await clock.advance(10 * MINUTE)

    await ledger.end("a")
    await ledger.give_back("a")

    [use] = await ledger.count(PERSON)
    assert use.reset_at == clock.now + 50 * MINUTE


async def test_delivery_takes_all_of_its_windows_or_none(ledger: Ledger) -> None:
    """One full window of three, and the other two stay as they were."""
    account = account_day(uuid4(), Platform.INSTAGRAM, 10)
    project = project_date(Platform.INSTAGRAM, 1, datetime.now(UTC))
    await ledger.take(("a", [PERSON, account, project]))

    refusals = await ledger.take(("b", [PERSON, account, project]))

    assert refusals["b"].window == project
    assert [use.used for use in await ledger.count(PERSON, account, project)] == [1, 1, 1]


async def test_batch_is_served_oldest_first(ledger: Ledger) -> None:
    """A refused delivery leaves its other windows' places to those after it."""
    narrow = Window("narrow", 1, HOUR)

    refusals = await ledger.take(
        ("first", [narrow]),
        ("second", [narrow, PERSON]),
        ("third", [PERSON]),
        ("fourth", [PERSON]),
        ("fifth", [PERSON]),
    )

    assert set(refusals) == {"second", "fifth"}


async def test_refused_batch_waits_for_one_place_each(ledger: Ledger, clock: Any) -> None:
    """The second of the refused waits for the second place, so that not all come back for one."""
    await ledger.take(("a", [PERSON]))
    await ledger.end("a")
    await clock.advance(MINUTE)
    await ledger.take(("b", [PERSON]))
    await ledger.end("b")
    await clock.advance(MINUTE)

    refusals = await ledger.take(("c", [PERSON]), ("d", [PERSON]))

    assert [refusals[name].free_at - clock.now for name in "cd"] == [58 * MINUTE, 59 * MINUTE]


async def test_count_takes_nothing(ledger: Ledger) -> None:
    """Looking at an empty window shows no time of reset, and leaves it empty."""
    [use] = await ledger.count(PERSON)

    assert (use.used, use.remaining, use.reset_at) == (0, 2, None)
    assert await ledger.used(PERSON) == 0


async def test_lowered_limit_frees_a_place_only_when_there_is_room(ledger: Ledger, clock: Any) -> None:
    """Five used of a limit that is three now: the third end to come makes room."""
    wide, narrowed = Window("w", 5, HOUR), Window("w", 3, HOUR)
    for name in "abcde":
        await ledger.take((name, [wide]))
        await ledger.end(name)
        await clock.advance(MINUTE)

    [use] = await ledger.count(narrowed)

    assert (use.used, use.remaining) == (5, 0)
    assert use.reset_at == clock.now + HOUR - 3 * MINUTE


async def test_window_of_zero_holds_nothing(ledger: Ledger, clock: Any) -> None:
    """A limit of 0 shuts a platform; the answer is a time all the same."""
    shut = Window("shut", 0, HOUR)

    refusals = await ledger.take(("a", [shut]))

    assert refusals["a"].free_at == clock.now + HOUR


async def test_clear_empties_one_window(ledger: Ledger) -> None:
    """An operator's reset leaves everybody else's windows alone."""
    other = Window("user:bob|INSTAGRAM|hour", 2, HOUR)
    await ledger.take(("a", [PERSON]), ("b", [PERSON]), ("c", [other]))

    await ledger.clear(PERSON)

    assert [use.used for use in await ledger.count(PERSON, other)] == [0, 1]


async def test_sweep_deletes_only_what_counts_nowhere(ledger: Ledger, clock: Any) -> None:
    """What ended within the longest window stays, what runs stays, and a sweep is bounded."""
    await ledger.take(*[(f"old-{n}", [PERSON, Window("day", 9, DAY)]) for n in range(2)])
    await ledger.end("old-0", "old-1")
    await clock.advance(DAY - SECOND)
    assert await ledger.sweep() == 0
    await ledger.take(("running", [PERSON]))

    await clock.advance(2 * SECOND)

    assert await ledger.sweep(most=3) == 3
    assert await ledger.sweep(most=3) == 1
    assert await ledger.used(PERSON) == 1


async def test_take_refuses_a_transaction_that_cannot_see_who_came_before(pool: Database) -> None:
    """Under REPEATABLE READ the count would be as old as the transaction."""
    async with pool.begin(isolation=Isolation.REPEATABLE_READ) as connection:
        with pytest.raises(ValueError, match="repeatable read"):
            await Quotas().take(connection, "a", [PERSON])


async def test_take_refuses_a_connection_whose_transaction_would_begin_too_late(database: AsyncEngine) -> None:
    """SQLAlchemy's own begins with the first statement that it sees: the slots' locks would be gone at once."""
    async with database.begin() as connection:
        with pytest.raises(TypeError, match="Database"):
            await Quotas().take(connection, "a", [PERSON])


async def test_concurrent_batches_neither_overfill_nor_deadlock(pool: Database) -> None:
    """Forty batches at once, their windows in opposite orders, share what two windows hold."""
    quotas = Quotas()
    left, right = Window("left", 25, HOUR), Window("right", 40, HOUR)

    async def claim(number: int) -> int:
        windows = [left, right] if number % 2 else [right, left]
        async with pool.begin() as connection:
            await connection.execute(text("SELECT 1"))  # the snapshot of a claim is older than its locks
            refusals = await quotas.take_many(connection, [(f"{number}-{n}", windows) for n in range(2)])
            await asyncio.sleep(0.002)
        return 2 - len(refusals)

    taken = sum(await asyncio.gather(*(claim(number) for number in range(40))))

    async with pool.connect() as connection:
        uses = await quotas.count(connection, [left, right])
    assert taken == 25
    assert [use.used for use in uses] == [25, 25]


@pytest.mark.parametrize(("limit", "length"), [(-1, HOUR), (1, timedelta(0)), (1, DAY + SECOND)])
def test_window_refuses_what_it_cannot_keep(limit: int, length: timedelta) -> None:
    """A window longer than slots are kept would forget publications that count."""
    with pytest.raises(ValueError, match="window"):
        Window("odd", limit, length)
