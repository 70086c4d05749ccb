"""What operators see while the database is away: the last answer, which says itself of when it is."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from typing import Any, TypeVar

from services.backends.deadline import deadline_in
from services.domain.errors import Overloaded, TimedOut, Unavailable

T = TypeVar("T")


class LastKnown:
    """Remembers the newest answer to each of `capacity` questions, for this process alone."""

    def __init__(self, *, patience: timedelta = timedelta(seconds=1), capacity: int = 1_000) -> None:
        """`patience` is how long a fresh answer is waited for."""
        self._patience = patience
        self._capacity = capacity
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()

    async def read(self, question: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        """What `load` says, or where the database does not answer, what it said last. Raises where it never did."""
        try:
            with deadline_in(self._patience):
                answer = await load()
        except (TimedOut, Unavailable, Overloaded):
            if question not in self._answers:
                raise
            known: T = self._answers[question]
            return known
        self._answers[question] = answer
        self._answers.move_to_end(question)
        if len(self._answers) > self._capacity:
            self._answers.popitem(last=False)
        return answer
