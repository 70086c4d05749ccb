"""One viewer holds a bounded number of subscriptions open in one process, whatever transport they came by."""

from collections import Counter
from collections.abc import Iterator

from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from services.domain.errors import RateLimited

_RETRY_AFTER = 5.0


class SubscriptionCounts:
    """How many subscriptions each viewer has open here."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many are open, of all viewers."""
        return self._open.total()

    def take(self, key: str) -> None:
        """Count one more; raises RateLimited where the viewer has as many as one may."""
        if self._open[key] >= self._most:
            raise RateLimited(f"You have {self._most} subscriptions open, which is the most.", retry_after=_RETRY_AFTER)
        self._open[key] += 1

    def give_back(self, key: str) -> None:
        """Count one less."""
        self._open[key] -= 1
        if self._open[key] <= 0:
            del self._open[key]


class SubscriptionSlots(SchemaExtension):
    """Takes a slot before a subscription's stream begins, and gives it back when the stream is over."""

    def __init__(self, *, counts: SubscriptionCounts) -> None:
        self._counts = counts
        self._taken: str | None = None

    def on_operation(self) -> Iterator[None]:
        """Give the slot back at the very end."""
        try:
            yield
        finally:
            if self._taken is not None:
                self._counts.give_back(self._taken)

    def on_execute(self) -> Iterator[None]:
        """Take the slot once it is known that this is a subscription."""
        if self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            viewer = self.execution_context.context.viewer
            key = "nobody" if viewer is None else viewer.user.id.hex
            self._counts.take(key)
            self._taken = key
        yield
