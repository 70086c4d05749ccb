"""The platforms' own time: the real one, moved as the control API says."""

from collections.abc import Callable
from datetime import datetime, timedelta


class VirtualClock:
    """Runs at the speed of `now`, ahead of it or behind it by what it was told."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """The moment it is on the platforms, aware."""
        return self._now() + self._ahead

    def set(self, moment: datetime) -> None:
        """Make it `moment` now; time goes on from there."""
        self._ahead = moment - self._now()

    def advance(self, by: timedelta) -> None:
        """Move time on (or back, where `by` is negative)."""
        self._ahead += by

    def reset(self) -> None:
        """Back to real time."""
        self._ahead = timedelta(0)
