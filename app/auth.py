"""Who is asking: `Authorization: Bearer` with an API key or a JWT becomes a Viewer.

No header is nobody, which is allowed here; a header that is not right is UNAUTHENTICATED, without a word why.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

import structlog

from app.doorkeeping import Doorkeeper
from app.jwts import JwtVerifier
from services.backends.database import Database
from services.backends.deadline import extra_time
from services.domain.credentials import PresentedKey, read_api_key
from services.domain.errors import CrierError, Overloaded, TimedOut, Unauthenticated, Unavailable, Unproven
from services.domain.viewers import User, Viewer
from services.queries.users import StoredCredential, find_credential, find_user_by_subject, touch_credentials

K = TypeVar("K")
V = TypeVar("V")

_log = structlog.get_logger(__name__)

_KEPT = 10_000
_WRITE_PATIENCE = timedelta(seconds=2)
_DATABASE_TROUBLE = (Unavailable, TimedOut, Overloaded)


class Authenticator:
    """Turns credentials into viewers.

    What the database says about a credential is believed for `fresh_for`: so long may a revoked key still work. While
    the database is away, what it said last is believed for `stale_for`, so that operators can still look.
    """

    def __init__(
        self,
        *,
        database: Database,
        jwts: JwtVerifier | None,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        fresh_for: timedelta = timedelta(seconds=4),
        stale_for: timedelta = timedelta(minutes=5),
        touch_every: timedelta = timedelta(minutes=1),
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        """`doorkeeper` makes those wait who keep guessing."""
        self._database = database
        self._jwts = jwts
        self._now = now
        self._keys = _Remembered[UUID, StoredCredential](clock=clock, fresh_for=fresh_for, stale_for=stale_for)
        self._subjects = _Remembered[str, User](clock=clock, fresh_for=fresh_for, stale_for=stale_for)
        self._doorkeeper = doorkeeper
        self._touches = _Touches(database=database, now=now, clock=clock, every=touch_every)

    async def identify(self, authorization: str | None, address: str | None = None) -> Viewer | None:
        """The viewer behind an `Authorization` header; None without one.

        Raises Unauthenticated, RateLimited where too many wrong ones came from the address, or what the database raises
        where it cannot say.
        """
        if authorization is None:
            return None
        if self._doorkeeper is None or address is None:
            return await self._look_at(authorization)
        return await self._doorkeeper.admit(authorization, address, self._look_at)

    async def close(self) -> None:
        """Write down what was used since the last time."""
        await self._touches.write()

    async def _look_at(self, authorization: str) -> Viewer:
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unproven("Send `Authorization: Bearer <API key or token>`.")
        key = read_api_key(token)
        return await (self._identify_key(key) if key is not None else self._identify_jwt(token))

    async def _identify_key(self, key: PresentedKey) -> Viewer:
        stored = await self._keys.get(key.key_id, self._read_key)
        if stored is None or not key.matches(stored.secret_hash):
            raise Unproven("The API key is not valid.")
        if not stored.holds(self._now()):
            raise Unauthenticated("The API key is not valid.")
        self._touches.note(key.key_id)
        return Viewer(stored.user, stored.scope, f"key:{key.key_id.hex}", stored.expires_at)

    async def _identify_jwt(self, token: str) -> Viewer:
        if self._jwts is None:
            raise Unproven("The API key is not valid.")
        claims = await self._jwts.verify(token)
        user = await self._subjects.get(claims.subject, self._read_subject)
        if user is None:
            raise Unauthenticated("The token is not valid.")
        return Viewer(user, claims.scope, "jwt", claims.expires_at)

    async def _read_key(self, key_id: UUID) -> StoredCredential | None:
        async with self._database.connect() as connection:
            return await find_credential(connection, key_id)

    async def _read_subject(self, subject: str) -> User | None:
        async with self._database.connect() as connection:
            return await find_user_by_subject(connection, subject)


@dataclass(frozen=True, slots=True)
class _Memory(Generic[V]):
    value: V | None
    at: float


class _Remembered(Generic[K, V]):
    """What the database said lately, absence included; the least used is forgotten first."""

    def __init__(self, *, clock: Callable[[], float], fresh_for: timedelta, stale_for: timedelta) -> None:
        self._clock = clock
        self._fresh_for = fresh_for.total_seconds()
        self._stale_for = stale_for.total_seconds()
        self._memories: OrderedDict[K, _Memory[V]] = OrderedDict()

    async def get(self, key: K, read: Callable[[K], Awaitable[V | None]]) -> V | None:
        """What was read of `key` a moment ago, or now."""
        memory = self._memories.get(key)
        if memory is not None and self._clock() - memory.at < self._fresh_for:
            self._memories.move_to_end(key)
            return memory.value
        asked_at = self._clock()  # before the question: what was asked earlier must not look fresher
        try:
            value = await read(key)
        except _DATABASE_TROUBLE:
            if memory is None or memory.value is None or self._clock() - memory.at >= self._stale_for:
                raise
            return memory.value
        self._memories[key] = _Memory(value, asked_at)
        self._memories.move_to_end(key)
        if len(self._memories) > _KEPT:
            self._memories.popitem(last=False)
        return value


class _Touches:
    """Which keys were used since they were last written down: once in a while, together, and beside the requests."""

    def __init__(
        self, *, database: Database, now: Callable[[], datetime], clock: Callable[[], float], every: timedelta
    ) -> None:
        self._database = database
        self._now = now
        self._clock = clock
        self._every = every.total_seconds()
        self._used: set[UUID] = set()
        self._written_at = clock()
        self._writing: asyncio.Task[None] | None = None

    def note(self, key_id: UUID) -> None:
        """Remember a use, and write what was collected if it is time."""
        self._used.add(key_id)
        is_idle = self._writing is None or self._writing.done()
        if is_idle and self._clock() - self._written_at >= self._every:
            self._writing = asyncio.create_task(self.write())

    async def write(self) -> None:
        """Write down what was collected; where the database is away, it waits for the next time."""
        used, self._used = self._used, set()
        self._written_at = self._clock()
        if not used:
            return
        try:
            with extra_time(_WRITE_PATIENCE):
                async with self._database.begin() as connection:
                    await touch_credentials(connection, sorted(used), self._now())
        except CrierError as error:
            self._used |= used
            _log.info("uses of keys not written yet", reason=str(error))
