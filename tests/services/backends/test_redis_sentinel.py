"""Redis behind sentinels: whoever is master is found, and found again, in the middle of traffic."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.backends.cache import CacheService
from services.backends.events import EventBus, Gap
from services.backends.redis import RedisAway, RedisGate
from services.backends.redis_pools import make_pool
from tests.services.backends.caching import Source, ask, make_cache
from tests.services.backends.certificates import write_certificate
from tests.services.backends.sentinels import Guarded, find_redis_with_tls, guarded_redis

BACK_WITHIN = 20.0
"""Seconds; the sentinels themselves take up to twice their failover time."""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """Redis, its replica and three sentinels."""
    with guarded_redis(tmp_path) as guarded:
        yield guarded


@asynccontextmanager
async def opened(guarded: Guarded) -> AsyncIterator[RedisGate]:
    """A gate that the sentinels show the way; it trusts a Redis again as soon as it is back."""
    gate = RedisGate(url=guarded.url, timeout=timedelta(milliseconds=500), settle=timedelta(0))
    await gate.open()
    try:
        yield gate
    finally:
        await gate.close()


@asynccontextmanager
async def listening(guarded: Guarded, gate: RedisGate) -> AsyncIterator[EventBus]:
    """A bus beside the gate, as in every process."""
    bus = EventBus(url=guarded.url, gate=gate)
    await bus.open()
    try:
        yield bus
    finally:
        await bus.close()


async def keep_asking(gate: RedisGate, waits: list[float], stop: asyncio.Event) -> None:
    """One caller after the other; how long each was held up. A cancellation can be lost in Python 3.11's `wait_for`."""
    give_up_at = time.monotonic() + 2 * BACK_WITHIN
    while not stop.is_set() and time.monotonic() < give_up_at:
        began = time.monotonic()
        with suppress(RedisAway):
            await gate.run(lambda client: client.incr("number"))
            await gate.read_many(["number"])
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.005)


async def until_written(gate: RedisGate, key: str) -> None:
    """Until Redis takes a write again."""
    give_up_at = time.monotonic() + BACK_WITHIN
    while time.monotonic() < give_up_at:
        with suppress(RedisAway):
            await gate.run(lambda client: client.set(key, "here"))
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def until_new(cache: CacheService, source: Source) -> None:
    """Until what was cached counts no more."""
    async with asyncio.timeout(BACK_WITHIN):
        while await ask(cache, source.load) == b"old":
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["killed", "demoted"])
async def test_the_new_master_is_found_in_the_middle_of_traffic(guarded: Guarded, how: str) -> None:
    """Nobody waits for more than a time-out or two; then all goes to the new master, and what the old one had
    cached counts no more: a commit meanwhile may have told neither."""
    async with opened(guarded) as gate, listening(guarded, gate):
        cache, source = make_cache(gate), Source(b"old", b"new")
        assert await ask(cache, source.load) == b"old"
        waits, stop = list[float](), asyncio.Event()
        traffic = [asyncio.create_task(keep_asking(gate, waits, stop)) for _ in range(8)]
        before = guarded.master()
        if how == "killed":
            await asyncio.to_thread(before.kill)
        else:
            await asyncio.to_thread(guarded.fail_over)
        await until_new(cache, source)
        await until_written(gate, "after")
        stop.set()
        await asyncio.gather(*traffic)

        now = guarded.master()
        assert now is not before
        with now.client() as client:
            assert client.get("after") == b"here"
        assert await ask(cache, source.load) == b"new"
        assert max(waits) < 3
        await cache.close()


async def test_watchers_get_a_gap_and_hear_again(guarded: Guarded) -> None:
    """The listening connection follows, too."""
    async with opened(guarded) as gate, listening(guarded, gate) as bus:
        user = uuid4()
        async with bus.subscribe(user) as heard:
            await asyncio.to_thread(guarded.master().kill)
            async with asyncio.timeout(BACK_WITHIN):
                assert await anext(heard) == Gap()
                await until_written(gate, "after")
                await bus.publish(user, b"changed")
                while await anext(heard) != b"changed":  # another Gap may come first
                    pass


async def test_a_change_that_nobody_noticed_ends_what_was_cached(guarded: Guarded) -> None:
    """Nothing was under way. The replica has what was cached, and may have missed the last tag that was raised."""
    async with opened(guarded) as gate, listening(guarded, gate):
        cache, source = make_cache(gate), Source(b"old", b"new")
        assert [await ask(cache, source.load), await ask(cache, source.load)] == [b"old", b"old"]
        await asyncio.to_thread(guarded.fail_over)
        await until_new(cache, source)
        assert source.loads == 2
        await cache.close()


async def test_two_of_three_sentinels_are_enough(guarded: Guarded) -> None:
    """The first that is asked is dead."""
    guarded.sentinels[0].kill()
    async with opened(guarded) as gate:
        await gate.run(lambda client: client.set("over", "there"))
        assert await gate.read_many(["over"]) == [b"there"]


async def test_nothing_stays_open(guarded: Guarded) -> None:
    """Neither at the master nor at a sentinel. What servers and sentinels have among each other comes and goes."""

    def is_ours(one: dict[str, str]) -> bool:
        return not one["name"].startswith("sentinel-") and "S" not in one["flags"]

    def connected() -> list[int]:
        found = []
        for server in (guarded.master(), *guarded.sentinels):
            with server.client() as client:
                found.append(sum(map(is_ours, client.client_list())))
        return found

    before = connected()
    for _ in range(3):
        async with opened(guarded) as gate:
            bus = EventBus(url=guarded.url, gate=gate)
            await bus.open()
            async with bus.subscribe(uuid4()):
                await gate.run(lambda client: client.ping())
                assert await gate.read_many(["nothing"]) == [None]
                assert connected() != before
            await bus.close()
    async with asyncio.timeout(5):
        while connected() != before:
            await asyncio.sleep(0.05)


async def test_sentinels_and_master_over_tls(tmp_path: Path) -> None:
    """`rediss+sentinel://`, with servers that speak nothing else."""
    program = find_redis_with_tls(tmp_path)
    if program is None:
        pytest.skip("no Redis on this machine that was built with TLS")
    with guarded_redis(tmp_path, program=program, tls=write_certificate(tmp_path)) as guarded:
        async with opened(guarded) as gate:
            await gate.run(lambda client: client.set("over", "tls"))
            assert await gate.read_many(["over"]) == [b"tls"]
            await asyncio.to_thread(guarded.master().kill)
            await until_written(gate, "after")
            with guarded.master().client() as client:
                assert client.get("after") == b"here"


@pytest.mark.parametrize(
    ("url", "asked", "then"),
    [
        (
            "redis+sentinel://one:26380,two/crier",
            [{"host": "one", "port": 26_380}, {"host": "two", "port": 26_379}],
            {"db": None},
        ),
        (
            "redis+sentinel://me:p%2Fw@[::1]:5/crier/3?sentinel_username=we&sentinel_password=s%40w&health_check_interval=9",
            [{"host": "::1", "port": 5, "username": "we", "password": "s@w"}],
            {"username": "me", "password": "p/w", "db": 3, "health_check_interval": 9.0},
        ),
        (
            "rediss+sentinel://one/crier?ssl_ca_certs=/ca.pem",
            [{"host": "one", "ssl_ca_certs": "/ca.pem"}],
            {"ssl_ca_certs": "/ca.pem"},
        ),
    ],
)
def test_an_address_with_sentinels_says_all_that_is_needed(
    url: str, asked: list[dict[str, Any]], then: dict[str, Any]
) -> None:
    """Who is asked, as whom, and what the master wants to hear."""
    pool: Any = make_pool(url, socket_timeout=1)
    assert pool.service_name == "crier"
    told = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert [{name: one.get(name) for name in wanted} for one, wanted in zip(told, asked, strict=True)] == asked
    assert {name: pool.connection_kwargs.get(name) for name in then} == then
    is_secret = url.startswith("rediss")
    classes = [
        pool.connection_class,
        *(one.connection_pool.connection_class for one in pool.sentinel_manager.sentinels),
    ]
    assert [("SSL" in one.__name__) for one in classes] == [is_secret] * len(classes)
