"""Our side of purgatory: its extension points, filled so that Redis is the one machine and a call's result is safe.

purgatory leads every call: `get` is asked before it, the context hears how it ended, and the message bus carries that
to `BreakerContexts.record`. Its own states decide nothing here: kept in Redis as it ships them, they let every caller
probe, lose races and mistake a flush. `circuit_breaker.lua` decides, and while Redis is away the process's memory.
"""

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import structlog
from purgatory import AsyncAbstractUnitOfWork, Event
from purgatory.domain.model import Context
from purgatory.service._async.repository import AsyncAbstractRepository

from services.backends.redis import RedisAway
from services.domain.breakers import BreakerPolicy, BreakerState, Judge, Transition, Verdict, judge_call
from services.domain.errors import CircuitOpen
from services.guards.breaker_memory import BreakerMemory, Permit, Refusal
from services.guards.breaker_store import BreakerStore, Snapshot

_log = structlog.get_logger(__name__)

Tell = Callable[[str, Transition], None]
"""Hears of a breaker's transition: its name, and what changed."""


@dataclass(frozen=True)
class CallEnded(Event):
    """A call is over, and its breaker has to hear of it."""

    permit: Permit
    verdict: Verdict


class CallContext(Context):
    """One call behind a breaker."""

    def __init__(self, name: str, decision: Permit | Refusal, policy: BreakerPolicy) -> None:
        super().__init__(name, policy.threshold, policy.open_for.total_seconds())
        self._decision = decision
        self.judge: Judge = judge_call
        self.result: object = None
        """What the call returned."""

    @property
    def probe(self) -> Permit | None:
        """The permit, where the breaker's recovery hangs on this call."""
        return self._decision if isinstance(self._decision, Permit) and self._decision.is_probe else None

    def handle_new_request(self) -> None:
        """Turn the call away, or let it pass."""
        if isinstance(self._decision, Refusal):
            raise CircuitOpen(f"{self.name} is resting after failures.", retry_after=self._decision.retry_after)

    def handle_exception(self, exc: BaseException) -> None:
        """The call raised; cancellation and the end of the process say nothing about the platform."""
        self._end(self._judge(exc) if isinstance(exc, Exception) else Verdict.NEUTRAL)

    def handle_end_request(self) -> None:
        """The call returned."""
        self._end(self._judge(self.result))

    def _judge(self, end: object) -> Verdict:
        try:
            return self.judge(end)
        except Exception:  # a mistake of the judge's must not cost the caller what the platform answered
            _log.exception("breaker_judge_failed", breaker=self.name)
            return Verdict.NEUTRAL

    def _end(self, verdict: Verdict) -> None:
        """Leave word, unless there is nothing to tell: a success that found no failure on record clears none."""
        permit = self._decision
        if not isinstance(permit, Permit):
            return
        if verdict is Verdict.SUCCESS and not permit.is_probe and permit.failures == 0:
            return
        self.messages.append(CallEnded(permit, verdict))


class BreakerContexts(AsyncAbstractRepository):
    """Asks Redis about every call, once before it and at most once after it; the memory where Redis is away."""

    def __init__(self, *, store: BreakerStore, memory: BreakerMemory, policy: BreakerPolicy, tell: Tell) -> None:
        self.messages = []
        self._store = store
        self._memory = memory
        self._policy = policy
        self._tell = tell
        self._process = uuid4().hex
        self._calls = itertools.count()

    async def get(self, name: str) -> CallContext:
        """Decide about one call."""
        return CallContext(name, await self._admit(name, f"{self._process}:{next(self._calls)}"), self._policy)

    async def record(self, event: CallEnded, _: AsyncAbstractUnitOfWork) -> None:
        """Let the breaker hear how a call ended. Nothing that fails here reaches the caller."""
        try:
            await self._report(event.permit, event.verdict)
        except Exception:
            _log.exception("breaker_report_failed", breaker=event.permit.name)

    async def renew(self, permit: Permit) -> None:
        """Show that the probe still runs."""
        self._memory.renew(permit.name, permit.token)
        with suppress(RedisAway):
            await self._store.renew(permit.name, permit.token)

    def learn(self, name: str, seen: Snapshot, token: str | None = None) -> int:
        """Remember Redis's answer, and tell of the transition it brought; the memory's epoch."""
        epoch = self._memory.absorb(name, seen, token)
        if seen.change is not None:
            self._tell(name, seen.change)
        return epoch

    async def _admit(self, name: str, token: str) -> Permit | Refusal:
        try:
            seen = await self._store.admit(name, token)
        except RedisAway:
            decision, change = self._memory.admit(name, token)
            if change is not None:
                self._tell(name, change)
            return decision
        is_probe = seen.granted and seen.state is BreakerState.HALF_OPEN
        epoch = self.learn(name, seen, token if is_probe else None)
        if not seen.granted:
            return Refusal(seen.retry_after)
        return Permit(
            name,
            token,
            epoch,
            is_probe=is_probe,
            failures=seen.failures,
            generation=seen.generation,
            bucket=seen.bucket,
        )

    async def _report(self, permit: Permit, verdict: Verdict) -> None:
        if permit.generation is not None:
            with suppress(RedisAway):
                seen = await self._store.report(permit.name, permit.token, permit.generation, permit.bucket, verdict)
                self.learn(permit.name, seen)
                return
        change = self._memory.report(permit, verdict)
        if change is not None:
            self._tell(permit.name, change)

    async def register(self, context: Context) -> None:
        """Nothing to do: every breaker is there as soon as it is asked about."""

    async def update_state(self, name: str, state: str, opened_at: float | None) -> None:
        """Nothing to do: the script has kept the state."""

    async def inc_failures(self, name: str, failure_count: int) -> None:
        """Nothing to do: the script has counted."""

    async def reset_failure(self, name: str) -> None:
        """Nothing to do: the script has cleared the count."""


class BreakerUnitOfWork(AsyncAbstractUnitOfWork):
    """Every run of the script is a whole unit of its own."""

    def __init__(self, contexts: BreakerContexts) -> None:
        self.contexts = contexts

    async def commit(self) -> None:
        """Nothing is pending."""

    async def rollback(self) -> None:
        """Nothing is pending."""
