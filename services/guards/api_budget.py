"""What a viewer may spend on the API: a leaky bucket of query cost in Redis.

It is there to be fast, not to be true: without Redis everybody may go on, and a counter says how often that happened.
`services.guards.budget_leases` spends for several requests at once, and asks less often.
"""

from collections.abc import Callable
from pathlib import Path

from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from services.backends.redis import RedisAway, RedisGate
from services.backends.troubles import Trouble
from services.domain.limits import Spending

_SOURCE = Path(__file__).with_name("api_budget.lua").read_text()


class ApiBudget:
    """Up to `capacity` at once, and `per_second` in the long run, for every viewer alike."""

    def __init__(
        self,
        *,
        gate: RedisGate,
        capacity: int,
        per_second: float,
        on_unguarded: Callable[[], None],
        clock: Callable[[], float] | None = None,
    ) -> None:
        """`on_unguarded` is called for each spending nobody could check; `clock` (seconds) replaces Redis's own."""
        self._gate = gate
        self._capacity = capacity
        self.per_second = per_second
        self._on_unguarded = on_unguarded
        self._clock = clock
        self._script = AsyncScript(gate.client, _SOURCE)
        self._refused = Trouble("api_budget.refused")

    async def spend(self, viewer: str, cost: int) -> Spending:
        """Spend `cost` if the viewer's budget allows it, by one round trip; a cost of 0 only looks."""
        now = "" if self._clock is None else round(self._clock() * 1_000_000)
        keys, args = [f"crier:budget:{viewer}"], [cost, self._capacity, self.per_second, now]
        try:
            answer = await self._gate.run(lambda _: self._script(keys, args))
        except RedisAway:
            return self._unguarded()
        except RedisError as error:  # it is there, but refuses: out of memory, say
            self._refused.note(error)
            return self._unguarded()
        self._refused.end()
        is_allowed, remaining, reset_after, retry_after = answer
        return Spending(
            is_allowed=bool(is_allowed),
            limit=self._capacity,
            remaining=remaining,
            reset_after=reset_after / 1_000_000,
            retry_after=retry_after / 1_000_000,
        )

    def _unguarded(self) -> Spending:
        self._on_unguarded()
        return Spending(
            is_allowed=True, limit=self._capacity, remaining=self._capacity, reset_after=0.0, retry_after=0.0
        )
