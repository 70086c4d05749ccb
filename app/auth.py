"""Who is asking: `Authorization: Bearer` with an API key or a JWT becomes a Viewer.

No header is nobody, which is allowed here; a header that is not right is UNAUTHENTICATED, without a word why.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from app.doorkeeping import Doorkeeper
from app.remembering import Remembered
from services.backends.database import Database
from services.backends.deadline import extra_time
from services.backends.troubles import Trouble
from services.domain.credentials import PresentedKey, read_api_key
from services.domain.errors import CrierError, Unauthenticated, Unproven
from services.domain.viewers import Role, Scope, User, Viewer
from services.queries.users import (
    StoredCredential,
    find_credentials,
    find_users_by_subject,
    list_operator_credentials,
    list_operators_by_subject,
    touch_credentials,
)

if TYPE_CHECKING:
    from app.jwts import JwtVerifier  # whoever gives us one has imported it

_log = structlog.get_logger(__name__)

_WRITE_PATIENCE = timedelta(seconds=2)
_ASK_AGAIN_EVERY = 60.0
"""Seconds."""
_MOST_OPERATORS = 1_000
"""So many are known before they come."""


class Authenticator:
    """Turns credentials into viewers.

    What the database says about a credential holds for some seconds, and while it is away for hours: see
    `app.remembering`.
    """

    def __init__(
        self,
        *,
        database: Database,
        jwts: "JwtVerifier | None",
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        touch_every: timedelta = timedelta(minutes=1),
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        """`doorkeeper` makes those wait who keep guessing."""
        self._database = database
        self._jwts = jwts
        self._now = now
        self._keys = Remembered[UUID, StoredCredential](self._read_keys, clock=clock)
        self._subjects = Remembered[str, User](self._read_subjects, clock=clock)
        self._doorkeeper = doorkeeper
        self._touches = _Touches(database=database, now=now, clock=clock, every=touch_every)
        self._asking: asyncio.Task[None] | None = None

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

    async def open(self) -> None:
        """Read who the operators are, again and again: so they are known when the database goes away."""
        self._asking = asyncio.create_task(self._keep_asking())

    async def close(self) -> None:
        """Write down what was used since the last time."""
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking
        await self._keys.close()
        await self._subjects.close()
        await self._touches.write()

    async def ask_again(self) -> None:
        """Ask the database who the operators are. Raises what the database raises."""
        await self._keys.ask_again(
            self._read_operator_keys,
            lambda stored: stored.user.role is Role.ADMIN and stored.scope is Scope.ADMIN,
        )
        if self._jwts is not None:
            await self._subjects.ask_again(self._read_operators, lambda user: user.role is Role.ADMIN)

    async def _keep_asking(self) -> None:
        trouble = Trouble("auth.not_asked_again")
        while True:
            try:
                await self.ask_again()
            except Exception as error:
                trouble.note(error)
            else:
                trouble.end()
            await asyncio.sleep(_ASK_AGAIN_EVERY)

    async def _look_at(self, authorization: str) -> Viewer:
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unproven("Send `Authorization: Bearer <API key or token>`.")
        key = read_api_key(token)
        return await (self._identify_key(key) if key is not None else self._identify_jwt(token))

    async def _identify_key(self, key: PresentedKey) -> Viewer:
        stored = await self._keys.get(key.key_id)
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
        user = await self._subjects.get(claims.subject)
        if user is None:
            raise Unauthenticated("The token is not valid.")
        return Viewer(user, claims.scope, "jwt", claims.expires_at)

    async def _read_keys(self, key_ids: Sequence[UUID]) -> dict[UUID, StoredCredential]:
        async with self._database.connect() as connection:
            return await find_credentials(connection, key_ids)

    async def _read_operator_keys(self) -> dict[UUID, StoredCredential]:
        async with self._database.connect() as connection:
            return await list_operator_credentials(connection, self._now(), limit=_MOST_OPERATORS)

    async def _read_subjects(self, subjects: Sequence[str]) -> dict[str, User]:
        async with self._database.connect() as connection:
            return await find_users_by_subject(connection, subjects)

    async def _read_operators(self) -> dict[str, User]:
        async with self._database.connect() as connection:
            return await list_operators_by_subject(connection, limit=_MOST_OPERATORS)


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
