"""Events on their way to people who watch: Redis pub/sub, one listening connection per process.

Pub/sub may lose what is said while a connection is down. So whoever listens gets a `Gap` in place of what may be
missing, and reads the current state anew. The listening connection also is the one that never sleeps: it sees when the
Redis behind the address is another one than before (started anew, or a replica in the place of its master).
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from services.backends.redis import RedisGate
from services.backends.redis_pools import make_pool
from services.backends.troubles import Trouble

_ACKNOWLEDGED_WITHIN = 1.0
"""Seconds a new subscriber waits for Redis; after that it gets a Gap once Redis listens."""
_PING_EVERY = 1.0
_SILENT_FOR = 3.0
"""Seconds without a word, not even the answer to a ping, after which the connection counts as dead."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_WRITE_PATIENCE = 1.0


def channel_of(user_id: UUID) -> str:
    """Where one user's events are published."""
    return f"crier:events:{user_id.hex}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something may have been missed before this point: read the current state anew."""


class _Channel(Enum):
    """Where a channel stands at Redis. At most one SUBSCRIBE is unanswered, so an answer is always for the latest."""

    ASKED = "asked"
    LIVE = "live"
    LEAVING = "leaving"


class Subscription:
    """What one subscriber has still to read, at most `size` items: a slow one gets a Gap instead of the rest."""

    def __init__(self, *, size: int) -> None:
        self._items: asyncio.Queue[bytes | Gap | None] = asyncio.Queue(size)
        self.live = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[bytes | Gap]:
        return self

    async def __anext__(self) -> bytes | Gap:
        item = await self._items.get()
        if item is None:
            raise StopAsyncIteration
        return item

    def offer(self, item: bytes | Gap | None) -> None:
        """Hand over an item (None: there will be no more) without ever waiting for the reader."""
        if self._items.full():
            while not self._items.empty():
                self._items.get_nowait()
            self._items.put_nowait(Gap())
        self._items.put_nowait(item)


class EventBus:
    """Publishes through the gate, and listens on a connection of its own that is renewed for ever."""

    def __init__(self, *, url: str, gate: RedisGate, queue_size: int = 100) -> None:
        self._gate = gate
        self._queue_size = queue_size
        # RESP2: everything that arrives is a plain array. No read time-out: the pings tell.
        self._connections = make_pool(url, protocol=2, socket_timeout=None, socket_connect_timeout=1.0)
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._channels: dict[str, _Channel] = {}
        self._connection: AbstractConnection | None = None
        self._listener: asyncio.Task[None] | None = None
        self._met: bytes | None = None
        self._is_closed = False

    async def open(self) -> None:
        """Begin to listen, as soon as Redis is there."""
        self._listener = asyncio.create_task(self._listen(), context=Context())

    async def close(self) -> None:
        """Listen no more, and end every subscription."""
        self._is_closed = True  # the client may swallow a cancellation
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait({self._listener})
        await self._connections.aclose()
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.offer(None)

    @property
    def is_listening(self) -> bool:
        """Whether the connection to Redis stands."""
        return self._connection is not None

    async def publish(self, user_id: UUID, message: bytes) -> None:
        """Tell every process's subscribers of this user. Raises RedisAway."""
        await self._gate.run(lambda client: client.publish(channel_of(user_id), message))

    @asynccontextmanager
    async def subscribe(self, user_id: UUID) -> AsyncIterator[AsyncIterator[bytes | Gap]]:
        """What is published for this user from now on: nothing published after this began is missed without a Gap."""
        channel = channel_of(user_id)
        subscription = Subscription(size=self._queue_size)
        self._subscriptions[channel].add(subscription)
        try:
            await self._await_live(channel, subscription)
            yield subscription
        finally:
            self._subscriptions[channel].discard(subscription)
            if not self._subscriptions[channel]:
                del self._subscriptions[channel]
                await self._leave(channel)

    async def _await_live(self, channel: str, subscription: Subscription) -> None:
        if self._channels.get(channel) is _Channel.LIVE:
            subscription.live.set()
            return
        if self._connection is not None and self._channels.get(channel) is not _Channel.ASKED:
            self._channels[channel] = _Channel.ASKED
            await self._send("SUBSCRIBE", channel)
        if self._connection is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ACKNOWLEDGED_WITHIN):
                    await subscription.live.wait()
        subscription.live.set()

    async def _leave(self, channel: str) -> None:
        """Stop listening to a channel without subscribers. One whose SUBSCRIBE is unanswered is left at the answer."""
        if self._channels.get(channel) is _Channel.LIVE:
            self._channels[channel] = _Channel.LEAVING
            await self._send("UNSUBSCRIBE", channel)

    async def _send(self, *words: str) -> None:
        """Say something to Redis; where that fails the listener notices too, and begins anew."""
        if self._connection is None:
            return
        with suppress(RedisError, OSError, RuntimeError):  # uvloop's word for a connection that has just been reset
            async with asyncio.timeout(_WRITE_PATIENCE):
                await self._connection.send_command(*words, check_health=False)

    async def _listen(self) -> None:
        pause, trouble = _FIRST_PAUSE, Trouble("events.not_heard")
        while not self._is_closed:
            connection: AbstractConnection = self._connections.make_connection()  # type: ignore[no-untyped-call] # theirs
            try:
                await connection.connect()  # type: ignore[no-untyped-call] # theirs
                await self._meet(connection)
                pause = _FIRST_PAUSE
                await self._serve(connection)
            except (RedisError, OSError):
                pass
            except Exception as error:  # whatever it was: whoever watches must not be left without a word for good
                trouble.note(error)
            finally:
                self._connection = None
                self._channels.clear()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _meet(self, connection: AbstractConnection) -> None:
        """See whether this is the Redis of before: another may not have heard the last words that were said to that
        one, and they may have ended something that was cached."""
        async with asyncio.timeout(_ACKNOWLEDGED_WITHIN):
            await connection.send_command("INFO", "server", check_health=False)
            try:
                told = await connection.read_response()
            except ResponseError:  # we may not ask
                return
        before, self._met = self._met, next((line for line in told.splitlines() if line.startswith(b"run_id:")), None)
        if before not in (None, self._met):
            await self._gate.forget_cached()

    async def _serve(self, connection: AbstractConnection) -> None:
        """Subscribe to every channel that has subscribers, then pass on what arrives until the connection breaks."""
        self._connection = connection
        if self._subscriptions:
            self._channels = dict.fromkeys(self._subscriptions, _Channel.ASKED)
            await self._send("SUBSCRIBE", *self._subscriptions)
        pinging = asyncio.create_task(self._ping())
        try:
            while not self._is_closed:
                async with asyncio.timeout(_SILENT_FOR):
                    words = await connection.read_response(disconnect_on_error=False)
                if isinstance(words, list):  # a ping before any subscription is answered by a plain string
                    await self._hear(words[0], words[1], words[2:])
        finally:
            pinging.cancel()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(_PING_EVERY)
            await self._send("PING")

    async def _hear(self, kind: bytes, name: bytes, rest: list[bytes]) -> None:
        channel = name.decode()
        if kind == b"message":
            for subscription in self._subscriptions.get(channel, ()):
                subscription.offer(rest[0])
        elif kind == b"subscribe":
            await self._note_live(channel)
        elif kind == b"unsubscribe" and self._channels.get(channel) is _Channel.LEAVING:
            del self._channels[channel]

    async def _note_live(self, channel: str) -> None:
        """From here on nothing is missed; who subscribed earlier may have missed something."""
        self._channels[channel] = _Channel.LIVE
        if channel not in self._subscriptions:
            await self._leave(channel)
            return
        for subscription in self._subscriptions[channel]:
            if subscription.live.is_set():
                subscription.offer(Gap())
            subscription.live.set()
