"""The API's budget dealt out locally: most requests spend without asking Redis.

A process takes several requests' worth of a viewer's budget at once and deals it out for some seconds. What is taken
is charged already, so that all processes together never grant more than the budget holds; what was not dealt out pays
for part of what is taken next. Nothing is leased to those who ask seldom, and little to those who have little left.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from services.domain.limits import Spending
from services.guards.api_budget import ApiBudget

_REQUESTS_AHEAD = 9
"""For so many more requests of the same cost a lease is meant to last."""
_SMALL_PART = 20
"""A lease is at most one such part of what is left, so that nobody misses it at another process."""
_VIEWERS = 10_000


@dataclass(slots=True)
class _Lease:
    """What is left of a part that was taken `at` a moment, when the whole budget stood as `spending` says."""

    left: int
    spending: Spending
    at: float


class BudgetLeases:
    """`spend` as `ApiBudget` has it, by leases that live for `life`; the least used viewers' are forgotten first."""

    def __init__(
        self,
        budget: ApiBudget,
        *,
        life: timedelta = timedelta(seconds=10),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = budget
        self._life = life.total_seconds()
        self._clock = clock
        self._leases: OrderedDict[str, _Lease] = OrderedDict()

    async def spend(self, viewer: str, cost: int) -> Spending:
        """Spend `cost` if the viewer's budget allows it; a cost of 0 only looks."""
        lease = self._leases.get(viewer)
        if lease is not None and cost <= lease.left and self._clock() - lease.at < self._life:
            lease.left -= cost
            return self._tell(lease)
        return await self._ask(viewer, cost)

    async def _ask(self, viewer: str, cost: int) -> Spending:
        """Ask Redis; for more than this one cost where the viewer asks often, and has enough not to miss it."""
        more = unused = 0
        last = self._leases.pop(viewer, None)  # so that who asks beside this one neither pays with it nor takes more
        if last is not None:
            unused = last.left
            if self._clock() - last.at < self._life:
                more = min(_REQUESTS_AHEAD * cost, last.spending.remaining // _SMALL_PART)
        charge = max(0, cost + more - unused)
        spending = await self._budget.spend(viewer, charge)
        if more and not spending.is_allowed:
            charge = max(0, cost - unused)
            spending = await self._budget.spend(viewer, charge)
        if spending.is_allowed:
            lease = _Lease(unused + charge - cost if _is_charged(spending) else 0, spending, self._clock())
            self._keep(viewer, lease)
            return self._tell(lease)
        if last is not None:
            self._keep(viewer, last)
        return spending

    def _keep(self, viewer: str, lease: _Lease) -> None:
        beside = self._leases.pop(viewer, None)
        if beside is not None:
            lease.left += beside.left
            if beside.spending.remaining < lease.spending.remaining:  # of two answers the later may be the older word
                lease.spending = beside.spending
        self._leases[viewer] = lease
        if len(self._leases) > _VIEWERS:
            self._leases.popitem(last=False)

    def _tell(self, lease: _Lease) -> Spending:
        """The budget as the viewer may reckon with it: what is leased and not dealt out is still theirs."""
        told = lease.spending
        if not _is_charged(told):
            return told
        pace = self._budget.per_second
        regained = int(pace * (self._clock() - lease.at))
        remaining = min(told.limit, told.remaining + lease.left + regained)
        return Spending(
            is_allowed=True,
            limit=told.limit,
            remaining=remaining,
            reset_after=(told.limit - remaining) / pace,
            retry_after=0.0,
        )


def _is_charged(spending: Spending) -> bool:
    """Whether Redis took something; a refusal took nothing, and without Redis nobody counts."""
    return spending.is_allowed and spending.reset_after > 0
