"""Circuit breakers: the states, who counts as ill, and what an operator sees.

    CLOSED ──(threshold failures in a row, or too many of the last calls)──► OPEN
    OPEN ──(`open_for` is over: one call, the probe, is let through)──► HALF_OPEN
    HALF_OPEN ──(the probe succeeds)──► CLOSED      HALF_OPEN ──(it fails)──► OPEN

An operator may open a breaker, which then stays open until somebody closes or resets it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.domain.errors import CrierError, ErrorCode
from services.domain.publishing import Rejected, Unknown


class BreakerState(StrEnum):
    """Whether calls pass."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Verdict(StrEnum):
    """What a call's end says about the platform's health."""

    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    NEUTRAL = "NEUTRAL"
    """Nothing: canceled, or refused for the content's, the permission's or the token's sake."""


Judge = Callable[[object], Verdict]
"""Takes what a call returned or raised."""

_ILLNESS = frozenset({ErrorCode.PLATFORM_ERROR, ErrorCode.TIMEOUT})


def judge_call(end: object) -> Verdict:
    """By classification, never by HTTP status: what a platform client returned, or what was raised."""
    match end:
        case Rejected(failure=failure):
            return Verdict.FAILURE if failure.kind.is_platform_fault else Verdict.NEUTRAL
        case Unknown(refusal=kind):
            return Verdict.FAILURE if kind is None or kind.is_platform_fault else Verdict.NEUTRAL
        case CrierError(code=code):
            return Verdict.FAILURE if code in _ILLNESS else Verdict.NEUTRAL
        case Exception():
            return Verdict.FAILURE
        case BaseException():
            return Verdict.NEUTRAL
        case _:
            return Verdict.SUCCESS


def judge_question(end: object) -> Verdict:
    """The same for asking what became of a post: that the answer is not clear yet is no illness."""
    return Verdict.NEUTRAL if isinstance(end, Unknown) else judge_call(end)


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long."""

    threshold: int = 5
    """So many failures in a row open it."""
    open_for: timedelta = timedelta(seconds=60)
    rate: float = 0.5
    """So great a share of failures opens it too, of the calls begun within `rate_window`, be they `minimum_calls`."""
    rate_window: timedelta = timedelta(seconds=60)
    minimum_calls: int = 20
    probe_lease: timedelta = timedelta(seconds=10)
    """A probe whose process gives no sign of life for so long is replaced."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a breaker, and why."""

    from_state: BreakerState
    to_state: BreakerState
    at: datetime
    reason: str
    by: str | None = None
    """The operator who brought it about by hand, whom `reason` names too."""

    def without_operator(self) -> "Transition":
        """The same, naming nobody."""
        return self if self.by is None else replace(self, reason=f"{self.reason.removesuffix(self.by)}hand", by=None)


@dataclass(frozen=True, slots=True)
class BreakerStats:
    """A breaker as an operator sees it."""

    name: str
    state: BreakerState
    failures: int
    """Failures in a row."""
    threshold: int
    opened_at: datetime | None
    next_probe_at: datetime | None
    """From when on a call is let through to try; None unless open, and while an operator holds it open."""
    forced_by: str | None
    """The operator who opened it by hand."""
    last_transitions: tuple[Transition, ...]
    """The newest first."""
    retry_after: float | None
    """Seconds for which calls are turned away: 0 while they pass, None until an operator closes it."""
    is_stale: bool
    """True where Redis is away and this is one process's own memory."""

    def without_operators(self) -> "BreakerStats":
        """The same as those may see it whose posts wait for it: not who opened or closed it by hand."""
        told = tuple(one.without_operator() for one in self.last_transitions)
        return replace(self, forced_by=None, last_transitions=told)
