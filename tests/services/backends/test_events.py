"""The event bus: nothing is missed without a Gap, and a slow reader costs bounded memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from redis.asyncio import Redis

from services.backends.events import EventBus, Gap
from services.backends.redis import RedisGate
from services.backends.tags import EVERYTHING, tag_key
from tests.faulty import FaultyNetwork, OwnRedis
from tests.services.backends.caching import Source, ask, make_cache

Items = AsyncIterator[bytes | Gap]


async def take(items: Items, count: int) -> list[bytes | Gap]:
    """The next items."""
    async with asyncio.timeout(5):
        return [await anext(items) for _ in range(count)]


async def until_listening(bus: EventBus) -> None:
    """Wait until the bus is connected."""
    async with asyncio.timeout(5):
        while not bus.is_listening:
            await asyncio.sleep(0.01)


async def test_subscriber_hears_its_own_user_in_order(bus: EventBus) -> None:
    """What is published after `subscribe` has begun arrives in order, at all of this user's subscribers alone."""
    await until_listening(bus)
    user, other = uuid4(), uuid4()
    async with bus.subscribe(user) as one, bus.subscribe(user) as two, bus.subscribe(other) as third:
        for number in range(50):
            await bus.publish(user, b"%d" % number)
        await bus.publish(other, b"other")
        expected = [b"%d" % number for number in range(50)]
        assert await take(one, 50) == await take(two, 50) == expected
        assert await take(third, 1) == [b"other"]


async def test_coming_and_going_subscribers_miss_nothing(bus: EventBus) -> None:
    """However often a channel is left and joined again, what follows a `subscribe` is heard."""
    await until_listening(bus)
    user = uuid4()
    for number in range(100):
        async with bus.subscribe(user) as items:
            await bus.publish(user, b"%d" % number)
            assert await take(items, 1) == [b"%d" % number]


async def test_slow_reader_gets_a_gap_instead_of_everything(redis_url: str, gate: RedisGate) -> None:
    """A reader that falls behind its bound is told so, then hears what is newest; the others hear everything."""
    bus = EventBus(url=redis_url, gate=gate, queue_size=10)
    await bus.open()
    await until_listening(bus)
    user = uuid4()
    async with bus.subscribe(user) as slow, bus.subscribe(user) as quick:
        for number in range(25):
            await bus.publish(user, b"%d" % number)
            assert await take(quick, 1) == [b"%d" % number]
        heard = await take(slow, 1)
        while heard[-1] != b"24":
            heard += await take(slow, 1)
    assert heard[0] == Gap()
    assert len(heard) <= 10
    assert heard[1:] == [b"%d" % number for number in range(26 - len(heard), 25)]
    await bus.close()


async def test_killed_redis_is_a_gap_for_everybody(own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """After a restart every subscriber, old and new, hears again; the old ones read anew first."""
    bus = EventBus(url=own_redis.url, gate=own_gate)
    await bus.open()
    await until_listening(bus)
    users = [uuid4() for _ in range(3)]
    async with AsyncExitStack() as stack:
        streams = {user: await stack.enter_async_context(bus.subscribe(user)) for user in users}
        own_redis.kill()
        await asyncio.sleep(0.1)
        own_redis.start()
        for items in streams.values():
            assert await take(items, 1) == [Gap()]
        await publish_when_back(bus, own_gate, users)
        for items in streams.values():
            assert await take(items, 1) == [b"after"]
    await bus.close()


async def publish_when_back(bus: EventBus, gate: RedisGate, users: list[UUID]) -> None:
    """Publish once the gate has found Redis again."""
    async with asyncio.timeout(5):
        while gate.is_away:
            await asyncio.sleep(0.01)
    for user in users:
        await bus.publish(user, b"after")


async def test_bus_starts_without_redis(own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """Whoever subscribes while Redis is away is served at once, and told to read anew when Redis comes."""
    own_redis.kill()
    bus = EventBus(url=own_redis.url, gate=own_gate)
    await bus.open()
    async with asyncio.timeout(0.5):
        stack = AsyncExitStack()
        items = await stack.enter_async_context(bus.subscribe(uuid4()))
    own_redis.start()
    assert await take(items, 1) == [Gap()]
    await stack.aclose()
    await bus.close()


class Disguising(FaultyNetwork):
    """Before a Redis that does not say which one it is."""

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data.replace(b"run_id:", b"nobody:"))
                await sink.drain()


async def test_redis_that_does_not_say_who_it_is_is_heard_all_the_same(own_redis: OwnRedis) -> None:
    """As some do that are for rent."""
    async with Disguising(host=str(own_redis.socket)) as network:
        url = f"redis://127.0.0.1:{network.port}"
        gate = RedisGate(url=url, timeout=timedelta(seconds=5))
        bus = EventBus(url=url, gate=gate)
        await bus.open()
        await until_listening(bus)
        user = uuid4()
        async with bus.subscribe(user) as items:
            await bus.publish(user, b"changed")
            assert await take(items, 1) == [b"changed"]
        await bus.close()
        await gate.close()


async def test_silent_network_is_noticed(own_redis: OwnRedis, own_gate: RedisGate) -> None:
    """A connection on which nothing comes any more, not even pongs, is given up for a new one, with a Gap."""
    async with FaultyNetwork(host=str(own_redis.socket)) as network:
        bus = EventBus(url=f"redis://127.0.0.1:{network.port}", gate=own_gate)
        await bus.open()
        await until_listening(bus)
        user = uuid4()
        async with bus.subscribe(user) as items:
            network.hang()
            async with asyncio.timeout(5):
                while bus.is_listening:
                    await asyncio.sleep(0.05)
            network.heal()
            network.cut()
            assert await take(items, 1) == [Gap()]
            await bus.publish(user, b"after")
            assert await take(items, 1) == [b"after"]
        await bus.close()


async def test_closing_ends_every_subscription(bus: EventBus) -> None:
    """Readers that wait when the process stops come to an end of their stream."""
    await until_listening(bus)

    async def read() -> list[bytes | Gap]:
        async with bus.subscribe(uuid4()) as items:
            return [item async for item in items]

    task = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    await bus.close()
    assert await asyncio.wait_for(task, timedelta(seconds=2).total_seconds()) == []


async def test_a_redis_that_was_started_anew_unnoticed_ends_what_was_cached(tmp_path: Path) -> None:
    """Nobody asked it anything meanwhile. It has kept what was cached; the last second, in which a tag may have been
    raised, it may have lost."""
    server = OwnRedis(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    gate = RedisGate(url=server.url, timeout=timedelta(seconds=2), settle=timedelta(0))
    bus = EventBus(url=server.url, gate=gate)
    await bus.open()
    await until_listening(bus)
    cache, source = make_cache(gate), Source(b"old", b"new")
    assert [await ask(cache, source.load), await ask(cache, source.load)] == [b"old", b"old"]
    server.kill()
    server.start()
    looking = Redis.from_url(server.url)
    async with asyncio.timeout(5):
        while await looking.exists(tag_key(EVERYTHING)):
            await asyncio.sleep(0.02)
    assert await ask(cache, source.load) == b"new"

    network = FaultyNetwork(host=str(server.socket))  # the same Redis by a new connection is no other Redis
    async with network:
        other = EventBus(url=f"redis://127.0.0.1:{network.port}/0", gate=gate)
        await other.open()
        await until_listening(other)
        network.cut()
        await asyncio.sleep(0.1)
        await until_listening(other)
        assert await ask(cache, source.load) == b"new"
        assert await looking.exists(tag_key(EVERYTHING))
        await other.close()
    await looking.aclose()
    for part in (cache, bus, gate):
        await part.close()
    server.kill()
