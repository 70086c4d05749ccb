"""What an operation costs is taken from its viewer's budget before it runs, and told with the answer."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from strawberry.extensions import SchemaExtension

from schema.extensions.limits import COST
from services.domain.errors import RateLimited
from services.domain.limits import Spending

SPENDING = "spending"
"""Where the `Spending` stands among the context's extras, for the `RateLimit` headers."""


class Budget(Protocol):
    """Whoever keeps the budgets."""

    async def spend(self, viewer: str, cost: int) -> Spending:
        """Take `cost` from the viewer's budget, if it holds as much."""
        ...


class ApiBudgets(SchemaExtension):
    """Spends the operation's static cost, at least one, from the budget of its credential's user."""

    def __init__(self, *, budget: Budget) -> None:
        self._budget = budget

    async def on_execute(self) -> AsyncIterator[None]:
        """Spend, or refuse with RATE_LIMITED; nobody's requests share one budget."""
        context = self.execution_context.context
        cost = max(1, context.extras.get(COST, 1))
        key = "nobody" if context.viewer is None else f"user:{context.viewer.user.id.hex}"
        spending = await self._budget.spend(key, cost)
        context.extras[SPENDING] = spending
        if not spending.is_allowed:
            raise RateLimited("Your budget for this API is used up for now.", retry_after=spending.retry_after)
        yield

    def get_results(self) -> dict[str, Any]:
        """What was spent and what is left, as `extensions.cost`."""
        extras = self.execution_context.context.extras
        spending: Spending | None = extras.get(SPENDING)
        if spending is None:
            return {}
        return {
            "cost": {
                "requested": extras.get(COST, 1),
                "limit": spending.limit,
                "remaining": spending.remaining,
                "resetAfter": spending.reset_after,
            }
        }
