"""What a platform grants all users of our app together, such as YouTube's uploads a day.

The platform counts calls, not posts: a place is taken by each call that it counts, before it is made, whether or not
its post ever shows; also when it is prepared and then canceled, or begun anew.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from services.domain.accounts import Platform
from services.domain.errors import CircuitOpen, RateLimited
from services.domain.limits import NeverLeft, Window
from services.domain.publishing import Checkpoint, Failure, FailureKind, Rejected
from services.guards.rate_limiter import RateLimiterService
from services.publishing.watching import Watch

T = TypeVar("T")


class _Unspent(NeverLeft):
    """The call was not made after all: its outcome, and the place back."""

    def __init__(self, outcome: object) -> None:
        super().__init__()
        self.outcome = outcome


class Allowances:
    """The windows that all users share."""

    def __init__(
        self,
        *,
        limits: RateLimiterService,
        windows: Callable[[], Mapping[Platform, Window]],
        watch: Watch | None = None,
    ) -> None:
        """`windows` are those of this moment; a platform without one grants as much as anybody wants."""
        self._limits = limits
        self._windows = windows
        self._watch = watch

    async def spend(self, platform: Platform, checkpoint: Checkpoint, call: Callable[[], Awaitable[T]]) -> T | Rejected:
        """What `call` gives, made in a place of its own; without a place it is not made, and the post waits for one."""
        window = self._windows().get(platform)
        if window is None:
            return await call()

        async def act() -> T:
            outcome = await call()
            if isinstance(outcome, CircuitOpen) or (isinstance(outcome, Rejected) and not outcome.failure.left):
                raise _Unspent(outcome)
            return outcome

        try:
            return await self._limits.within(window, act)
        except _Unspent as unspent:
            return unspent.outcome  # type: ignore[return-value] # what `call` gave
        except RateLimited as full:
            if self._watch is not None:
                self._watch.note_refused(platform)
            wait = timedelta(seconds=full.retry_after or 0)
            failure = Failure(FailureKind.WAIT, full.code, full.message, retry_after=wait, left=False)
            return Rejected(failure, checkpoint)
