"""Redis behind a gate: while it is away, every caller knows at once and none waits for a time-out of its own."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from datetime import timedelta
from typing import NamedTuple, TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.backends.redis_pools import make_pool, was_reset
from services.backends.tags import EVERYTHING, tag_key
from services.domain.errors import Unavailable

T = TypeVar("T")

_log = structlog.get_logger(__name__)
_TROUBLE = (RedisConnectionError, RedisTimeoutError, ResponseError, OSError)
_FAILURE = (RedisError, OSError)
_AS_GOOD_AS_AWAY = {
    # It reads but refuses every write, because it cannot save them: tags cannot be raised there.
    "MISCONF": "Redis refuses to write.",
    # Without a password, and asked from another machine.
    "DENIED": "Redis is in protected mode and lets nobody in from elsewhere.",
}
"""What a Redis may refuse everybody, by the word for it; within a script's error it stands in the middle."""
_LATE = 1.5
_QUEUES_FOR = 5
"""How many time-outs a caller may wait for a connection: to go without Redis when it is busy would only add load."""
_PROBE_EVERY = 1.0
"""Seconds between two looks at a Redis that is away."""


class _Way(NamedTuple):
    """How things stood when a call began."""

    outages: int
    began: float
    task: asyncio.Task[object] | None
    cancellations: int


class RedisAway(Unavailable):
    """Redis cannot be reached, or its connections are all in use; what it holds may be done without."""


class RedisGate:
    """One bounded pool of connections, and one flag that says whether Redis is there.

    The first failure raises the flag; from then on callers are refused at once, until a probe in the background, first
    immediately and then once a second, finds Redis again, and has it forget what was cached before: commits meanwhile
    could not say what they changed. A connection that broke while idle is replaced unnoticed; no command is sent
    twice. `max_connections` holds for the client's pool, and again for what `read_many` keeps.
    """

    def __init__(
        self,
        *,
        url: str,
        max_connections: int = 20,
        timeout: timedelta = timedelta(milliseconds=200),
        settle: timedelta = timedelta(seconds=2),
    ) -> None:
        seconds = timeout.total_seconds()
        self.client: Redis = Redis.from_pool(
            make_pool(url, max_connections=max_connections, socket_timeout=seconds, socket_connect_timeout=seconds)
        )
        self._timeout = seconds
        self._settle = settle.total_seconds()
        self._readers: list[AbstractConnection] = []
        self._slots = asyncio.Semaphore(max_connections)
        self._probing: asyncio.Task[None] | None = None
        self._outages = 0
        self._is_closed = False
        self._back_at = float("-inf")

    async def open(self) -> None:
        """Look whether Redis is there; Crier starts without it too."""
        with suppress(RedisAway):
            await self.run(lambda client: client.ping())

    async def close(self) -> None:
        """Stop looking and close every connection."""
        self._is_closed = True
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait({self._probing})
        await self._drop_readers()
        with suppress(*_FAILURE):
            await self.client.aclose(close_connection_pool=True)

    @property
    def is_away(self) -> bool:
        """Whether callers are refused for now."""
        return self._probing is not None

    @property
    def outages(self) -> int:
        """How often it went away since the start."""
        return self._outages

    @property
    def is_settled(self) -> bool:
        """Whether Redis is there, and has been for long enough that all processes know it."""
        return self._probing is None and time.monotonic() - self._back_at >= self._settle

    def distrust(self) -> None:
        """Redis could not be told of a change, away or not: what it has cached is left alone for a while."""
        self._back_at = time.monotonic()

    async def forget_cached(self) -> None:
        """Whatever is cached counts no more, if Redis is there to be told."""
        with suppress(RedisAway):
            await self.run(lambda client: client.delete(tag_key(EVERYTHING)))

    async def run(self, call: Callable[[Redis], Awaitable[T]]) -> T:
        """Call Redis. Raises RedisAway at once while it is away; a single command that Redis refuses stays a
        ResponseError."""
        way = await self._enter()
        try:
            return await call(self.client)
        except _TROUBLE as error:
            self._judge(error, way)
            raise
        finally:
            self._slots.release()

    async def read_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """MGET at half its cost: on connections of our own, past the client's pool, retries and instruments."""
        way = await self._enter()
        try:
            return await self._read(keys)
        except _TROUBLE as error:
            self._judge(error, way)
            raise
        finally:
            self._slots.release()

    async def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        if self._readers:
            # Redis has restarted since, or the connection was reset, for which uvloop has a word of its own.
            with suppress(RedisConnectionError, RuntimeError):
                return await self._read_on(self._readers.pop(), keys)
        fresh: AbstractConnection = self.client.connection_pool.make_connection()  # type: ignore[no-untyped-call] # theirs
        await fresh.connect()  # type: ignore[no-untyped-call] # a command alone would not ask the sentinels where
        return await self._read_on(fresh, keys)

    async def _read_on(self, connection: AbstractConnection, keys: Sequence[str]) -> list[bytes | None]:
        """Read on a connection, and keep it only if it went well: who is cancelled leaves no answer for the next."""
        try:
            if was_reset(connection):  # what asyncio says of a write then is different in each Python
                raise RedisConnectionError("The connection was reset.")
            await connection.send_command("MGET", *keys, check_health=False)
            found: list[bytes | None] = await connection.read_response()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._readers.append(connection)
        return found

    async def _enter(self) -> _Way:
        """Take one of the slots. Together with `_judge` a context manager in parts, of which each call has one: as a
        generator it would cost as much as all else that the gate does."""
        if self._probing is not None:
            raise RedisAway("Redis is away.", retry_after=_PROBE_EVERY)
        await self._admit()
        task = asyncio.current_task()
        return _Way(self._outages, time.monotonic(), task, task.cancelling() if task else 0)

    def _judge(self, error: Exception, way: _Way) -> None:
        """Raise what trouble on the way means; where it means nothing, it stays what it is."""
        if isinstance(error, MaxConnectionsError):
            raise RedisAway("All connections to Redis are in use.", retry_after=self._timeout) from error
        if isinstance(error, ResponseError) and not isinstance(error, ReadOnlyError):
            meaning = next((told for word, told in _AS_GOOD_AS_AWAY.items() if word in str(error)), None)
            if meaning is None:
                return
            self._note_outage(error)
            raise RedisAway(meaning, retry_after=_PROBE_EVERY) from error
        if way.task and way.task.cancelling() > way.cancellations:  # the client may say so in place of the cancellation
            raise asyncio.CancelledError from error
        # A call from before the last outage says nothing about now; nor does a time-out that came late itself, because
        # then it was this process that had no time.
        is_our_fault = isinstance(error, RedisTimeoutError) and time.monotonic() - way.began > _LATE * self._timeout
        if way.outages == self._outages and not is_our_fault:
            self._note_outage(error)
        raise RedisAway("Redis cannot be reached.", retry_after=_PROBE_EVERY) from error

    async def _admit(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(_QUEUES_FOR * self._timeout):
                await self._slots.acquire()
        except TimeoutError as error:
            raise RedisAway("All connections to Redis are in use.", retry_after=self._timeout) from error
        if self._probing is not None:
            self._slots.release()
            raise RedisAway("Redis is away.", retry_after=_PROBE_EVERY)

    def _note_outage(self, error: Exception) -> None:
        if self._probing is None:
            _log.warning("redis.away", reason=f"{type(error).__name__}: {error}")
            self._outages += 1
            self._probing = asyncio.create_task(self._probe(), context=Context())

    async def _probe(self) -> None:
        """Look until Redis is back. It first drops idle connections, which would fail one after the other; of those
        that speak TLS each waits for a good-bye that may not come."""
        await self._drop_readers()
        with suppress(*_FAILURE):
            await self.client.connection_pool.disconnect(inuse_connections=False)
        while not self._is_closed:
            if await self._answers():
                break
            await asyncio.sleep(_PROBE_EVERY)
        self.distrust()
        self._probing = None
        if not self._is_closed:
            _log.info("redis.back")

    async def _answers(self) -> bool:
        try:
            await self.client.delete(tag_key(EVERYTHING))
        except _FAILURE:
            return False
        return True

    async def _drop_readers(self) -> None:
        while self._readers:
            await self._readers.pop().disconnect(nowait=True)
