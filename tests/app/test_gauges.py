"""What a process shows of itself: each figure moves when what it tells of does."""

import asyncio
import math
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.running import RunningSandbox
from services.backends.deadline import deadline_in
from services.domain.accounts import Platform
from services.domain.errors import TimedOut
from tests.app.scraping import a_token, ask, scrape, serving
from tests.faulty import OwnRedis
from tests.rig import Rig, open_rig

POOL = 3


async def test_the_pool_is_shown_as_it_is_used(
    running_sandbox: RunningSandbox, database: AsyncEngine, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """All connections at work, somebody who waits for one and somebody who got none."""
    async with (
        open_rig(
            running_sandbox, database_url=database_url, redis_url=redis_url, folder=tmp_path, db_pool_max=POOL
        ) as rig,
        serving(rig) as http,
    ):
        pool = rig.container.backends.database
        before = await scrape(http)
        assert before.value("crier_pool_maximum") == POOL
        assert before.value("crier_pool_idle") >= 1
        async with AsyncExitStack() as held:
            for _ in range(POOL):
                await held.enter_async_context(pool.connect())
            with deadline_in(timedelta(milliseconds=50)), pytest.raises(TimedOut):
                await held.enter_async_context(pool.connect())
            waiting = asyncio.create_task(held.enter_async_context(pool.connect()))
            async with asyncio.timeout(20):
                while (busy := await scrape(http)).value("crier_pool_waiting") < 1:
                    await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait([waiting])
        after = await scrape(http)
    assert (busy.value("crier_pool_in_use"), busy.value("crier_pool_idle")) == (POOL, 0)
    assert busy.value("crier_pool_refused_total") > before.value("crier_pool_refused_total")
    assert after.value("crier_pool_waits_total") >= before.value("crier_pool_waits_total") + 2
    assert after.value("crier_pool_wait_seconds_total") > before.value("crier_pool_wait_seconds_total")
    assert after.value("crier_pool_in_use") < POOL


async def test_an_open_subscription_and_its_events_are_counted(rig: Rig) -> None:
    """While it is open; a stream is no socket."""
    async with serving(rig) as http:
        headers = {"authorization": f"Bearer {await a_token(rig)}"}
        query = "subscription { postsChanged { id } }"
        assert (await scrape(http)).value("crier_subscriptions_open") == 0
        open_ones = []

        async def look() -> None:
            async with asyncio.timeout(20):
                while (shown := await scrape(http)).value("crier_subscriptions_open") != 1:
                    await asyncio.sleep(0.02)
            open_ones.append((shown.value("crier_sockets_open"), shown.value("crier_requests_in_progress")))

        async def watch() -> None:
            accepts = headers | {"accept": "text/event-stream"}
            await http.post("/graphql", json={"query": query}, headers=accepts)

        watching = asyncio.create_task(watch())
        await look()
        watching.cancel()
        await asyncio.wait([watching])
        assert open_ones == [(0, 2)]  # the stream, and the look
        async with asyncio.timeout(20):
            while (await scrape(http)).value("crier_subscriptions_open") != 0:
                await asyncio.sleep(0.02)


async def test_loaders_tell_how_many_keys_they_read_at_once(rig: Rig) -> None:
    """Three accounts of a page ask for their breakers together."""
    ada = await rig.add_user()
    for platform in Platform:
        await rig.add_account(ada, platform)
    async with serving(rig) as http:
        query = "{ accounts { nodes { circuitBreaker { state } } } }"
        answer = await ask(http, await a_token(rig, ada), query)
        assert len(answer.json()["data"]["accounts"]["nodes"]) == 3
        shown = await scrape(http)
    assert shown.value("crier_loader_batch_size_count", loader="breakers") == 1
    assert shown.value("crier_loader_batch_size_sum", loader="breakers") == 3


async def test_a_worker_shows_what_it_holds_and_which_duty_failed(rig: Rig) -> None:
    """One post on its way for as long as its platform takes; a duty that cannot be done."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    await rig.schedule_due(ada, account)
    rig.sandbox.arm("facebook.feed", action="delay", seconds=2)
    worker, stop = rig.container.worker(), asyncio.Event()
    async with serving(rig) as http:
        running = asyncio.create_task(worker.run(stop))
        async with asyncio.timeout(20):
            while (busy := await scrape(http)).value("crier_publishing") != 1:
                await asyncio.sleep(0.02)
            while (done := await scrape(http)).value("crier_publishing") != 0:
                await asyncio.sleep(0.02)
        assert done.value("crier_duty_failures_total") == -1
        await rig.write(text("ALTER TABLE leftovers RENAME TO elsewhere"))
        try:
            async with asyncio.timeout(20):
                while (await scrape(http)).value("crier_duty_failures_total", duty="leftovers") < 1:
                    await asyncio.sleep(0.02)
        finally:
            await rig.write(text("ALTER TABLE elsewhere RENAME TO leftovers"))
        stop.set()
        await running
    assert busy.value("crier_worker_concurrency") == rig.container.settings.worker_concurrency
    assert done.value("crier_step_seconds_count", platform="FACEBOOK") >= 1
    assert done.value("crier_step_seconds_sum", platform="FACEBOOK") >= 2


async def test_redis_going_away_is_shown(
    running_sandbox: RunningSandbox, database: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    """As 0, and as one more outage."""
    own = OwnRedis(tmp_path)
    own.start()
    try:
        async with (
            open_rig(running_sandbox, database_url=database_url, redis_url=own.url, folder=tmp_path) as rig,
            serving(rig) as http,
        ):
            before = await scrape(http)
            assert (before.value("crier_redis_up"), before.value("crier_redis_outages_total")) == (1, 0)
            own.kill()
            async with asyncio.timeout(20):
                while (gone := await scrape(http)).value("crier_redis_up") != 0:
                    await ask(http, None, "{ health { status } }")
            assert gone.value("crier_redis_outages_total") == 1
    finally:
        own.kill()


async def test_no_replica_is_no_number(rig: Rig) -> None:
    """0 would say that it is close behind."""
    async with serving(rig) as http:
        shown = await scrape(http)
    assert math.isnan(shown.value("crier_reader_lag_seconds"))
    assert shown.value("crier_reader_answers_total") == -1
