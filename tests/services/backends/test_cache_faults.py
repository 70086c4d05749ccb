"""The cache when Redis or a loader fails: never a reason for an error, never an old value."""

import asyncio
import statistics
import time
from datetime import timedelta
from typing import Any

import pytest

from services.backends.cache import CacheService
from services.backends.cache_entries import Entries
from services.backends.redis import RedisGate
from tests.faulty import FaultyNetwork, OwnRedis
from tests.services.backends.caching import MINUTE, VIEWER, Source, ask, make_cache, raise_tag


async def test_flushed_redis_never_brings_an_old_value_back(cache: CacheService, gate: RedisGate) -> None:
    """A load that began before FLUSHALL and a commit may finish as late as it likes: nobody gets its value."""
    late, new = Source(b"old", takes=0.3), Source(b"new")
    await raise_tag(gate)
    overtaken = asyncio.create_task(ask(cache, late.load))
    await asyncio.sleep(0.05)
    await gate.client.flushdb()
    for _ in range(5):
        await raise_tag(gate)
        assert await ask(cache, new.load) == b"new"
    assert await overtaken == b"old"
    await gate.client.flushdb()
    assert await ask(cache, new.load) == b"new"


async def test_load_without_tag_versions_is_not_joined_after_a_flush(cache: CacheService, gate: RedisGate) -> None:
    """A commit whose raised tag was flushed away at once is still not answered by a load from before it."""
    old, new = Source(b"old", takes=0.2), Source(b"new")
    overtaken = asyncio.create_task(ask(cache, old.load))
    await asyncio.sleep(0.05)
    await raise_tag(gate)
    await gate.client.flushdb()
    assert await ask(cache, new.load) == b"new"
    assert await overtaken == b"old"


async def test_versions_are_shared_only_by_callers_of_the_same_moment(own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """Who asks after the question was sent may know of a later commit: it gets an answer of its own."""
    async with FaultyNetwork(host=str(own_redis.socket), delay=0.1) as network:
        gate = RedisGate(url=f"redis://127.0.0.1:{network.port}", timeout=timedelta(seconds=5))
        entries = Entries(gate=gate, lock_for=MINUTE)
        await entries.make_versions(("warm", "crier:tag:warm"))
        keys = ("value", "crier:tag:posts")
        first, second = (asyncio.create_task(entries.make_versions(keys)) for _ in range(2))
        await asyncio.sleep(0.15)
        await own_gate.client.flushall()
        third = asyncio.create_task(entries.make_versions(keys))
        assert await first == await second != await third
        await gate.close()


async def test_dead_loader_holds_nobody_up_for_long(cache: CacheService, elsewhere: CacheService) -> None:
    """A process that dies while it loads keeps its claim for some seconds at most."""
    dying = asyncio.create_task(ask(elsewhere, Source(b"never", takes=60).load))
    await asyncio.sleep(0.1)
    elsewhere._entries.let_go = _do_nothing  # type: ignore[method-assign, assignment] # a killed process gives nothing back
    await elsewhere.close()
    with pytest.raises(Exception, match="shutting down"):
        await dying
    async with asyncio.timeout(5):
        assert await ask(cache, Source(b"value").load) == b"value"


async def _do_nothing(*_: Any) -> None:
    pass


@pytest.mark.parametrize("fault", ["kill", "freeze", "flush"])
async def test_redis_that_fails_in_mid_load_changes_no_answer(
    own_redis: OwnRedis, own_gate: RedisGate, fault: str
) -> None:
    """Every caller of a load during which Redis goes has its answer, and so have those that come after."""
    cache = make_cache(own_gate)
    source = Source(b"value", takes=0.1)
    loading = [asyncio.create_task(ask(cache, source.load)) for _ in range(20)]
    await asyncio.sleep(0.05)
    if fault == "flush":
        await own_gate.client.flushall()
    else:
        getattr(own_redis, fault)()
    assert await asyncio.gather(*loading) == [b"value"] * 20
    source.takes = 0
    assert [await ask(cache, source.load) for _ in range(50)] == [b"value"] * 50
    own_redis.thaw()
    await cache.close()


@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_absent_redis_costs_nothing_once_noticed(own_redis: OwnRedis, own_gate: RedisGate, fault: str) -> None:
    """One time-out is waited for; from then on an answer takes at most 5 ms longer than its load (by the median: the
    machine has other things to do)."""
    cache = make_cache(own_gate)
    source = Source(b"value")
    getattr(own_redis, fault)()
    took = []
    for _ in range(300):
        began = time.perf_counter()
        assert await ask(cache, source.load) == b"value"
        took.append(time.perf_counter() - began)
    assert sum(took) < 2  # a time-out each would be 150
    assert statistics.median(took[1:]) < 0.005
    own_redis.thaw()
    await cache.close()


async def test_value_from_before_an_outage_is_not_trusted_at_once(own_redis: OwnRedis) -> None:
    """A commit during the outage could not raise its tags: until the outbox is replayed, the cache is left alone."""
    gate = RedisGate(url=own_redis.url, settle=timedelta(seconds=30))
    cache = make_cache(gate)
    assert await ask(cache, Source(b"old").load) == b"old"
    own_redis.freeze()
    assert await ask(cache, Source(b"new").load) == b"new"
    own_redis.thaw()
    async with asyncio.timeout(5):
        while gate.is_away:
            await asyncio.sleep(0.01)
    assert await ask(cache, Source(b"new").load) == b"new"
    await cache.close()
    await gate.close()


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_what_was_cached_before_an_outage_is_dead_after_it(own_redis: OwnRedis, is_trusted: bool) -> None:
    """Commits meanwhile could not raise their tags: who notices the end raises all of them, for every process."""
    gate, other = (RedisGate(url=own_redis.url, settle=timedelta(0)) for _ in range(2))
    cache, elsewhere = make_cache(gate), make_cache(other)
    assert await ask(elsewhere, Source(b"old").load) == b"old"
    if not is_trusted:
        own_redis.freeze()
        assert await ask(cache, Source(b"new").load) == b"new"
        own_redis.thaw()
        async with asyncio.timeout(5):
            while gate.is_away:
                await asyncio.sleep(0.01)

    assert await ask(elsewhere, Source(b"new").load) == (b"old" if is_trusted else b"new")
    assert not other.is_away
    for which in (cache, elsewhere):
        await which.close()
    await gate.close()
    await other.close()


async def test_redis_out_of_memory_changes_no_answer(own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """It serves what it has, keeps nothing new, and still lets a commit end what was kept before."""
    cache = make_cache(own_gate)
    assert await ask(cache, Source(b"old").load) == b"old"
    await own_gate.client.config_set("maxmemory", 1)
    assert await ask(cache, Source(b"new").load) == b"old"

    await raise_tag(own_gate)

    for value in (b"1", b"2"):
        assert await ask(cache, Source(value).load) == value
    await cache.close()


async def test_foreign_bytes_are_a_miss(cache: CacheService, gate: RedisGate) -> None:
    """Whatever lies under a key, it is an answer only if it was made as one."""
    key = f"crier:cache:1:{VIEWER.hex}:posts:page"
    for junk in (b"", b"\x01", b"\x01\x00", b"\x01\x01" + b"x" * 7, b"junk" * 20):
        await gate.client.set(key, junk)
        assert await ask(cache, Source(b"value").load) == b"value"


async def test_stats_are_told_as_this_processs_own_without_redis(own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """Operators see what this process knows, and that it is only that."""
    cache = make_cache(own_gate)
    await ask(cache, Source(b"value").load)
    await cache.stats()
    own_redis.kill()
    await ask(cache, Source(b"value").load)
    stats = await cache.stats()
    assert not stats.is_shared
    assert stats.resolvers[0].errors >= 1
    assert stats.resolvers[0].misses + stats.resolvers[0].errors == 2
    await cache.close()
