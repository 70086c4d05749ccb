"""The cache: what it keeps, for how long, and how it tells."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.backends.cache import CacheService
from services.backends.redis import RedisGate
from services.domain.caching import ResolverCacheStats
from services.domain.errors import NotFound
from tests.services.backends.caching import MINUTE, VIEWER, Clock, Source, ask, make_cache, raise_tag


async def test_hit_needs_no_load(cache: CacheService, elsewhere: CacheService) -> None:
    """A value serves until it is old, in every process, exactly as it was."""
    value = bytes(range(256)) * 300
    source = Source(value)
    assert [await ask(which, source.load) for which in (cache, elsewhere, cache)] == [value] * 3
    assert source.loads == 1


async def test_raised_tag_makes_a_value_old(cache: CacheService, gate: RedisGate) -> None:
    """Any of the value's tags, and no other one."""
    source = Source(b"1", b"2", b"3")
    tags = ("posts", "accounts")
    assert await ask(cache, source.load, tags=tags) == b"1"
    await raise_tag(gate, "media")
    assert await ask(cache, source.load, tags=tags) == b"1"
    await raise_tag(gate, "accounts")
    assert await ask(cache, source.load, tags=tags) == b"2"
    await raise_tag(gate, "posts")
    assert await ask(cache, source.load, tags=tags) == b"3"


async def test_value_under_other_tags_is_a_miss(cache: CacheService) -> None:
    """A resolver that came to depend on fewer or more tags does not read what it kept before."""
    source = Source(b"1", b"2", b"3")
    for tags, expected in ((("a", "b"), b"1"), (("a",), b"2"), (("a", "c"), b"3")):
        assert await ask(cache, source.load, tags=tags) == expected


async def test_stale_value_is_served_while_one_refreshes(gate: RedisGate) -> None:
    """In the last part of its life a value is given at once, and loaded anew once, behind the callers' backs."""
    clock = Clock()
    cache = make_cache(gate, clock=clock)
    source = Source(b"1", b"2", takes=0.05)
    assert await ask(cache, source.load, ttl=MINUTE) == b"1"
    clock.now += 50
    assert await asyncio.gather(*(ask(cache, source.load, ttl=MINUTE) for _ in range(50))) == [b"1"] * 50
    await asyncio.sleep(0.15)
    assert await ask(cache, source.load, ttl=MINUTE) == b"2"
    assert source.loads == 2
    await cache.close()


async def test_stale_value_is_not_served_once_a_tag_was_raised(gate: RedisGate) -> None:
    """Stale means a little old, never wrong."""
    clock = Clock()
    cache = make_cache(gate, clock=clock)
    source = Source(b"1", b"2")
    await ask(cache, source.load, ttl=MINUTE)
    clock.now += 50
    await raise_tag(gate)
    assert await ask(cache, source.load, ttl=MINUTE) == b"2"
    await cache.close()


async def test_stale_value_outlives_a_failing_refresh(gate: RedisGate) -> None:
    """Where the refresh fails the stale value goes on to be served, and the next caller tries again."""
    clock = Clock()
    cache = make_cache(gate, clock=clock)
    await ask(cache, Source(b"1").load, ttl=MINUTE)
    clock.now += 50
    tries = 0

    async def fail() -> bytes:
        nonlocal tries
        tries += 1
        raise NotFound("gone")

    for _ in range(2):
        assert await ask(cache, fail, ttl=MINUTE) == b"1"
        await asyncio.sleep(0.05)
    assert tries == 2
    await cache.close()


async def test_lives_differ_and_never_exceed_the_ttl(cache: CacheService, gate: RedisGate) -> None:
    """What is cached together does not end together."""
    source = Source(b"value")
    for number in range(30):
        await cache.get_or_set(str(number), source.load, resolver="posts", viewer=VIEWER, ttl=timedelta(seconds=100))
    keys = [f"crier:cache:1:{VIEWER.hex}:posts:{number}" for number in range(30)]
    lives = [await gate.client.pttl(key) for key in keys]
    assert all(85_000 < life <= 100_000 for life in lives)
    assert max(lives) - min(lives) > 2_000


async def test_absence_is_kept_only_where_asked(cache: CacheService) -> None:
    """None is loaded again each time, unless `absent_ttl` says that it may be kept."""
    source = Source(None)
    assert [await ask(cache, source.load) for _ in range(2)] == [None, None]
    assert source.loads == 2
    assert [await ask(cache, source.load, absent_ttl=MINUTE) for _ in range(3)] == [None] * 3
    assert source.loads == 3


async def test_empty_value_is_a_value(cache: CacheService) -> None:
    """No bytes are something else than nothing."""
    source = Source(b"")
    assert [await ask(cache, source.load, tags=()) for _ in range(2)] == [b"", b""]
    assert source.loads == 1


async def test_large_value_is_given_but_not_kept(gate: RedisGate) -> None:
    """What exceeds the bound costs Redis nothing, and nobody waits for its claim."""
    cache = make_cache(gate, max_bytes=100)
    source = Source(b"x" * 101)
    assert [await ask(cache, source.load) for _ in range(2)] == [b"x" * 101] * 2
    assert source.loads == 2
    stats = await cache.stats()
    assert stats.resolvers[0].too_large == 2
    await cache.close()


async def test_another_deploy_does_not_read_old_shapes(cache: CacheService, gate: RedisGate) -> None:
    """Values belong to the version that wrote them."""
    await ask(cache, Source(b"old shape").load)
    newer = make_cache(gate, version="2")
    assert await ask(newer, Source(b"new shape").load) == b"new shape"
    await newer.close()


async def test_json_helper_gives_what_it_was_given(cache: CacheService) -> None:
    """JSON in, JSON out, loaded once; None is an absent value."""
    loads = 0

    async def load() -> Any:
        nonlocal loads
        loads += 1
        return {"a": [1, None, "ü"]}

    for _ in range(2):
        assert await cache.get_or_set_json("page", load, resolver="posts", viewer=VIEWER) == {"a": [1, None, "ü"]}
    assert loads == 1


async def test_stats_are_summed_over_processes(cache: CacheService, elsewhere: CacheService, gate: RedisGate) -> None:
    """Each process hands in its counts; what is not handed in yet is handed in when it closes."""
    source = Source(b"value")
    for which in (cache, elsewhere, elsewhere):
        await ask(which, source.load)
    await ask(elsewhere, source.load, resolver="accounts")
    await elsewhere.close()
    stats = await cache.stats()
    assert stats.is_shared
    accounts, posts = stats.resolvers
    assert posts == ResolverCacheStats("posts", hits=2, stale=0, misses=1, errors=0, too_large=0)
    assert accounts.misses == 1
    assert posts.hit_rate == pytest.approx(2 / 3)
