"""Whoever keeps presenting credentials that nobody gave out has to wait, longer each time.

Failures are counted by what they have in common (the address they come from, the key they claim to be) in a leaky
bucket: a shared one, so that all processes count together, and one of this process's own, which goes on counting while
Redis is away. Where a bucket is full nothing more is tried until the wait is over; a wait soon after another is twice
as long. Only a failure costs a look at Redis.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from services.domain.errors import RateLimited
from services.domain.limits import BUDGET_SPAN, Spending

_KEPT = 10_000
_ROUNDING = 1e-6
_LONGEST_WAIT = 900.0
_FORGIVEN_AFTER = 600.0
"""Seconds after a wait, after which the next one is as short as the first."""


class Bucket(Protocol):
    """What all processes count in; `services.guards.api_budget` is one."""

    async def spend(self, viewer: str, cost: int) -> Spending:
        """Count `cost` more, if there is room."""
        ...


@dataclass(slots=True)
class _Record:
    """What is known of one name; moments by the clock."""

    empty_at: float = 0.0
    """When the bucket will have run dry."""
    until: float = 0.0
    """Until when nothing is tried."""
    waits: int = 0
    """How many followed each other."""


class FailedAttempts:
    """At most `most` failures at once and `most` a minute in the long run, for each name; the least lately failed names
    are forgotten first."""

    def __init__(self, *, shared: Bucket, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._most = most
        self._second = BUDGET_SPAN / timedelta(seconds=1) / most
        """How long one failure takes to be forgotten."""
        self._clock = clock
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def check(self, names: Sequence[str]) -> None:
        """Raise RateLimited while any of the names has to wait."""
        now = self._clock()
        until = max((self._records[name].until for name in names if name in self._records), default=0.0)
        if until > now:
            raise RateLimited("Too many wrong credentials: wait before you try again.", retry_after=until - now)

    async def note(self, names: Sequence[str]) -> None:
        """Count one more failure under each name."""
        for name in names:
            spending = await self._shared.spend(f"failures:{name}", 1)
            record = self._records.setdefault(name, _Record())
            self._records.move_to_end(name)
            wait = max(self._count(record), 0.0 if spending.is_allowed else spending.retry_after)
            if wait > 0:
                self._begin_wait(record, wait)
        while len(self._records) > _KEPT:
            self._records.popitem(last=False)

    def _count(self, record: _Record) -> float:
        """Fill this process's own bucket; gives the wait where it overflows."""
        filled = max(0.0, record.empty_at - self._clock()) + self._second
        overflow = filled - self._most * self._second
        if overflow > _ROUNDING:
            return overflow
        record.empty_at = self._clock() + filled
        return 0.0

    def _begin_wait(self, record: _Record, wait: float) -> None:
        now = self._clock()
        record.waits = record.waits + 1 if now - record.until < _FORGIVEN_AFTER else 0
        record.until = now + min(_LONGEST_WAIT, max(1.0, wait) * 2**record.waits)
