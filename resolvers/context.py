"""What a resolver has at hand: the services, who asks, and the loaders of this one operation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, TypeVarTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from resolvers.batching import BatchLoader
from resolvers.last_known import LastKnown
from resolvers.loaders import Loaders, OnBatch
from services.accounts import AccountService
from services.backends.cache import CacheService
from services.backends.database import Database
from services.backends.events import EventBus
from services.backends.replica import Replica
from services.backends.transactions import DatabaseTransactionService
from services.domain.errors import Forbidden, Unauthenticated
from services.domain.ids import Kind, decode_id_of
from services.domain.viewers import Viewer
from services.guards.circuit_breaker import CircuitBreakerService
from services.guards.rate_limiter import RateLimiterService
from services.health import HealthService
from services.posts import FailedPosts, PostService
from services.queries.optimizer import QueryOptimizerService

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_Call = tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]

READS_AT_ONCE = 4
"""Connections that one operation may hold: a wide document must not drain the pool."""

NOBODY = UUID(int=0)
"""Stands for an id that names nothing: what belongs to it is nothing, too."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that resolvers may use; built once per process."""

    database: Database
    transactions: DatabaseTransactionService
    posts: PostService
    failed: FailedPosts
    accounts: AccountService
    limits: RateLimiterService
    breakers: CircuitBreakerService
    cache: CacheService
    events: EventBus
    health: HealthService
    optimizer: QueryOptimizerService
    last_known: LastKnown
    replica: Replica | None = None
    on_batch: OnBatch | None = None
    """Hears how many keys each dataloader reads at once."""


@dataclass(kw_only=True, eq=False)
class Context:
    """One operation: never shared by two, so that nothing read for one is shown by another."""

    services: Services
    viewer: Viewer | None
    correlation_id: str
    extras: dict[str, Any] = field(default_factory=dict)
    """Room for what the extensions and the view tell one another; resolvers do not look here."""

    @property
    def asker(self) -> Viewer:
        """The viewer. Raises Unauthenticated where nobody is known."""
        if self.viewer is None:
            raise Unauthenticated("Send an API key or a token: `Authorization: Bearer …`.")
        return self.viewer

    @property
    def reach(self) -> UUID | None:
        """Whose objects may be shown wherever an id leads; None: everybody's, to an operator."""
        return None if self.asker.is_admin else self.asker.user.id

    @cached_property
    def loaders(self) -> Loaders:
        """The operation's own, made when first asked for."""
        return Loaders(
            connect=self.connect,
            limits=self.services.limits,
            breakers=self.services.breakers,
            viewer=self.asker,
            on_batch=self.services.on_batch,
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection for one short read."""
        async with self._slots, self.services.database.connect() as connection:
            yield connection

    async def read_value(self, sql: str, values: Sequence[Any], *, owner: UUID | None) -> Any:
        """The value of one finished statement; None where there is no row. Where all that it shows is one owner's, it
        may be as old as a replica is allowed to be, but never older than what was done to it."""
        replica = self.services.replica
        async with self._slots:
            if replica is None or owner is None:
                return await self.services.database.read_value(sql, values)
            return await replica.read_value(sql, values, owner=owner)

    async def once(self, read: Callable[[Context, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """What `read` answers, run once however many fields of this operation ask for the same."""
        answer: T = await self._calls.load((read, args))
        return answer

    def whose_list(self, user_id: str | None) -> UUID:
        """Whose objects a list shows: the viewer's, or those of whom an operator names. Raises Forbidden."""
        if user_id is None:
            return self.asker.user.id
        named = decode_id_of(Kind.USER, user_id) or NOBODY
        if named != self.asker.user.id and not self.asker.is_admin:
            raise Forbidden("Only an admin may name somebody else, with an admin credential.")
        return named

    def forget(self) -> None:
        """Read everything anew from here on: something has changed."""
        self._calls.clear_all()
        self.loaders.forget()

    async def aclose(self) -> None:
        """End what still loads. Whoever made the context calls this when the operation is over."""
        if "_calls" in self.__dict__:
            await self._calls.close()
        if "loaders" in self.__dict__:
            await self.loaders.close()
            del self.loaders  # which connect through this

    @cached_property
    def _slots(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(READS_AT_ONCE)

    @cached_property
    def _calls(self) -> BatchLoader[_Call, Any]:
        async def run(calls: Sequence[_Call]) -> Mapping[_Call, Any]:
            return {(read, args): await read(self, *args) for read, args in calls}

        return BatchLoader(run, None, batch=False)
