"""Circuit breakers before the platforms' APIs, one state for all processes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar, cast

import structlog
from purgatory import AsyncCircuitBreakerFactory

from services.backends.redis import RedisAway, RedisGate
from services.domain.breakers import BreakerPolicy, BreakerState, BreakerStats, Judge, Transition, judge_call
from services.guards.breaker_contexts import BreakerContexts, BreakerUnitOfWork, CallContext, CallEnded, Tell
from services.guards.breaker_memory import BreakerMemory, Permit
from services.guards.breaker_store import BreakerStore, Snapshot

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class CircuitBreakerService:
    """Runs calls behind breakers, shows the breakers, and lets an operator move them."""

    def __init__(
        self,
        *,
        gate: RedisGate,
        policy: BreakerPolicy,
        names: Iterable[str] = (),
        on_transition: Tell | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """`names` are shown even before their first call; `on_transition` hears of what this process brought about.

        `clock` (seconds since 1970) replaces Redis's own, which all processes share, and this process's.
        """
        self._policy = policy
        self._names = frozenset(names)
        self._on_transition = on_transition
        self._store = BreakerStore(gate=gate, policy=policy, clock=clock)
        self._memory = BreakerMemory(policy=policy, clock=clock)
        self._contexts = BreakerContexts(store=self._store, memory=self._memory, policy=policy, tell=self._tell)
        self._factory = AsyncCircuitBreakerFactory(
            policy.threshold, policy.open_for.total_seconds(), uow=BreakerUnitOfWork(self._contexts)
        )
        self._factory.messagebus.add_listener(CallEnded, self._contexts.record)

    async def execute(self, name: str, fn: Callable[[], Awaitable[T]], *, judge: Judge = judge_call) -> T:
        """What `fn` returns or raises; raises CircuitOpen, without running it, while the breaker turns calls away.

        `judge` says what the return value or exception means for the breaker; cancellation never means anything.
        """
        breaker = await self._factory.get_breaker(name)
        context = cast(CallContext, breaker.context)
        context.judge = judge
        async with breaker, self._renewing(context.probe):
            result = await fn()
            context.result = result
        return result

    async def get_stats(self, name: str) -> BreakerStats:
        """One breaker; from memory, and marked stale, while Redis is away."""
        [stats] = await self.load_stats([name])
        return stats

    async def list_stats(self) -> list[BreakerStats]:
        """Every breaker there is, by name."""
        names = self._names | self._memory.names
        with suppress(RedisAway):
            names |= await self._store.names()
        return await self.load_stats(sorted(names))

    async def load_stats(self, names: Sequence[str]) -> list[BreakerStats]:
        """Breakers in the order asked, by one round trip."""
        try:
            seen = await self._store.look(names)
        except RedisAway:
            return [self._stats(name, self._memory.look(name), is_stale=True) for name in names]
        for name, snapshot in zip(names, seen, strict=True):
            self._memory.absorb(name, snapshot)
        return [self._stats(name, snapshot) for name, snapshot in zip(names, seen, strict=True)]

    async def force_open(self, name: str, *, by: str) -> BreakerStats:
        """Turn every call away until somebody closes or resets it. Raises RedisAway, as the others would not know."""
        return await self._force("open", name, by)

    async def force_close(self, name: str, *, by: str) -> BreakerStats:
        """Let calls pass again from now on; it opens again as ever. Raises RedisAway."""
        return await self._force("close", name, by)

    async def reset(self, name: str, *, by: str) -> BreakerStats:
        """Close it and forget its past. Raises RedisAway."""
        return await self._force("reset", name, by)

    async def _force(self, what: str, name: str, by: str) -> BreakerStats:
        seen = await self._store.force(what, name, by)
        self._contexts.learn(name, seen)
        return self._stats(name, seen)

    @asynccontextmanager
    async def _renewing(self, probe: Permit | None) -> AsyncIterator[None]:
        """While a probe runs, show that its process lives: a slow probe stays the only one, a dead one is replaced."""
        if probe is None:
            yield
            return
        renewals = asyncio.create_task(self._renew(probe))
        try:
            yield
        finally:
            renewals.cancel()

    async def _renew(self, probe: Permit) -> None:
        while True:
            await asyncio.sleep(self._policy.probe_lease.total_seconds() / 3)
            await self._contexts.renew(probe)

    def _tell(self, name: str, change: Transition) -> None:
        """Once per transition: only the process that brought it about gets to know it this way."""
        _log.warning(
            "breaker_moved", breaker=name, from_state=change.from_state, to_state=change.to_state, reason=change.reason
        )
        if self._on_transition is None:
            return
        try:
            self._on_transition(name, change)
        except Exception:  # who only listens must not break the call
            _log.exception("breaker_listener_failed", breaker=name)

    def _stats(self, name: str, seen: Snapshot, *, is_stale: bool = False) -> BreakerStats:
        will_probe = seen.state is BreakerState.OPEN and seen.forced_by is None
        return BreakerStats(
            name=name,
            state=seen.state,
            failures=seen.failures,
            threshold=self._policy.threshold,
            opened_at=seen.opened_at,
            next_probe_at=seen.opened_at + self._policy.open_for if will_probe and seen.opened_at else None,
            forced_by=seen.forced_by,
            last_transitions=seen.history,
            retry_after=seen.retry_after,
            is_stale=is_stale,
        )
