"""What one process remembers of the circuit breakers, and goes by while Redis is away.

The same machine as in `circuit_breaker.lua`, for one process alone and without the failure rate. Every answer of Redis
is absorbed, so that an outage finds the breakers as they were last seen. An epoch is to this memory what a generation
is to Redis: how a call ended matters only in the epoch in which it began.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.domain.breakers import BreakerPolicy, BreakerState, Transition, Verdict
from services.guards.breaker_store import Snapshot

_HISTORY = 10


@dataclass(frozen=True, slots=True)
class Permit:
    """One call that was let through, and what has to be told with its end."""

    name: str
    token: str
    epoch: int
    is_probe: bool
    failures: int
    """In a row, when the call began."""
    generation: int | None = None
    """Redis's; None where Redis was away and the memory decided."""
    bucket: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that was turned away; `retry_after` in seconds, None until an operator closes the breaker."""

    retry_after: float | None


@dataclass(slots=True)
class Recollection:
    """One breaker, as far as this process knows."""

    state: BreakerState = BreakerState.CLOSED
    epoch: int = 0
    generation: int = 0
    failures: int = 0
    opened_at: datetime | None = None
    forced_by: str | None = None
    retry_at: float = 0.0
    """On the monotonic clock: until then calls are turned away, unless it is closed or held open."""
    token: str | None = None
    """The probe of this process."""
    history: list[Transition] = field(default_factory=list)


class BreakerMemory:
    """All breakers of one process; nothing here waits."""

    def __init__(self, *, policy: BreakerPolicy, clock: Callable[[], float] | None = None) -> None:
        """`clock` replaces the monotonic clock, by which waits are measured, and that of the wall."""
        self._policy = policy
        self._elapsed = clock or time.monotonic
        self._clock = clock or time.time
        self._known: dict[str, Recollection] = {}

    @property
    def names(self) -> set[str]:
        """The breakers this process has had to do with."""
        return set(self._known)

    def recall(self, name: str) -> Recollection:
        """One breaker; closed until something else is heard of it."""
        return self._known.setdefault(name, Recollection())

    def look(self, name: str) -> Snapshot:
        """How one breaker was last seen."""
        known = self.recall(name)
        return Snapshot(
            state=known.state,
            generation=known.generation,
            failures=known.failures,
            opened_at=known.opened_at,
            forced_by=known.forced_by,
            retry_after=self.retry_after(name),
            history=tuple(known.history),
        )

    def retry_after(self, name: str) -> float | None:
        """Seconds for which calls are turned away: 0 while they pass, None while an operator holds it open."""
        known = self.recall(name)
        if known.state is BreakerState.CLOSED:
            return 0.0
        if known.forced_by is not None:
            return None
        return max(0.0, known.retry_at - self._elapsed())

    def absorb(self, name: str, seen: Snapshot, token: str | None = None) -> int:
        """Believe Redis, unless its answer was overtaken by a newer one; the epoch that it is now."""
        known = self.recall(name)
        if seen.generation < known.generation:
            return known.epoch
        if (known.state, known.generation) != (seen.state, seen.generation):
            known.epoch += 1
            known.token = None
        known.state, known.generation, known.failures = seen.state, seen.generation, seen.failures
        known.opened_at, known.forced_by = seen.opened_at, seen.forced_by
        known.retry_at = self._elapsed() + (seen.retry_after or 0.0)
        known.token = token or known.token
        if seen.history:
            known.history = list(seen.history)
        elif seen.change is not None:
            self._note(known, seen.change)
        return known.epoch

    def admit(self, name: str, token: str) -> tuple[Permit | Refusal, Transition | None]:
        """Whether a call may pass, by memory alone."""
        known = self.recall(name)
        change = None
        if known.state is not BreakerState.CLOSED:
            retry_after = self.retry_after(name)
            if retry_after != 0:
                return Refusal(retry_after), None
            if known.state is BreakerState.OPEN:
                change = self._move(known, BreakerState.HALF_OPEN, "time for a probe")
            known.token = token
            known.retry_at = self._elapsed() + self._policy.probe_lease.total_seconds()
        is_probe = known.state is BreakerState.HALF_OPEN
        return Permit(name, token, known.epoch, is_probe=is_probe, failures=known.failures), change

    def renew(self, name: str, token: str) -> None:
        """The probe still runs."""
        known = self.recall(name)
        if known.token == token:
            known.retry_at = self._elapsed() + self._policy.probe_lease.total_seconds()

    def report(self, permit: Permit, verdict: Verdict) -> Transition | None:
        """Tell how a call ended; the transition it brought about."""
        known = self.recall(permit.name)
        if known.epoch != permit.epoch:
            return None
        if known.state is BreakerState.CLOSED:
            return self._count(known, verdict)
        if known.token != permit.token:
            return None
        match verdict:
            case Verdict.SUCCESS:
                return self._move(known, BreakerState.CLOSED, "the probe succeeded")
            case Verdict.FAILURE:
                known.failures += 1
                return self._move(known, BreakerState.OPEN, "the probe failed")
            case Verdict.NEUTRAL:
                known.token = None
                known.retry_at = self._elapsed()
                return None

    def _count(self, known: Recollection, verdict: Verdict) -> Transition | None:
        if verdict is Verdict.SUCCESS:
            known.failures = 0
        if verdict is Verdict.FAILURE:
            known.failures += 1
            if known.failures >= self._policy.threshold:
                return self._move(known, BreakerState.OPEN, f"{known.failures} failures in a row")
        return None

    def _move(self, known: Recollection, to: BreakerState, reason: str) -> Transition:
        change = Transition(
            known.state,
            to,
            datetime.fromtimestamp(self._clock(), UTC),
            f"{reason}, seen by one process while Redis was away",
        )
        known.state = to
        known.epoch += 1
        known.token = None
        if to is BreakerState.OPEN:
            known.opened_at = change.at
            known.retry_at = self._elapsed() + self._policy.open_for.total_seconds()
        if to is BreakerState.CLOSED:
            known.opened_at = None
            known.failures = 0
        self._note(known, change)
        return change

    @staticmethod
    def _note(known: Recollection, change: Transition) -> None:
        known.history.insert(0, change)
        del known.history[_HISTORY:]
