"""How often a platform is asked about the same thing: quickly at first, then ever slower, and not for ever.

The count lives in the checkpoint, so that patience outlasts the process that had it.
"""

from dataclasses import dataclass
from datetime import timedelta

from services.domain.publishing import Checkpoint, Pending, Unknown

LOOKS = "looks"
"""The checkpoint's key for how often we have looked in vain."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """Waits of `first`, twice that, …, at most `longest`; after `limit` looks patience is over."""

    first: timedelta
    longest: timedelta
    limit: int

    def wait(self, looks: int) -> timedelta:
        """How long to wait after so many looks in vain."""
        # The exponent is capped: a count from years of waiting must not overflow.
        return min(self.first * (1 << min(looks, 30)), self.longest)

    def is_over(self, checkpoint: Checkpoint) -> bool:
        """Whether we have looked often enough to draw a conclusion."""
        return looks_of(checkpoint) >= self.limit

    def pending(self, checkpoint: Checkpoint) -> Pending:
        """Not yet: look again later."""
        looks = looks_of(checkpoint)
        return Pending({**checkpoint, LOOKS: looks + 1}, self.wait(looks))

    def unknown(self, reason: str, checkpoint: Checkpoint) -> Unknown:
        """Still not clear: ask again later."""
        looks = looks_of(checkpoint)
        return Unknown(reason, {**checkpoint, LOOKS: looks + 1}, self.wait(looks))


def looks_of(checkpoint: Checkpoint) -> int:
    """How often we have looked since the last step that was done."""
    return int(checkpoint.get(LOOKS, 0))


PROCESSING = Pacing(first=timedelta(seconds=1), longest=timedelta(seconds=60), limit=20)
"""For what a platform prepares: about a quarter of an hour in all."""

GRACE = Pacing(first=timedelta(seconds=1), longest=timedelta(seconds=8), limit=5)
"""Before `not out` is believed: 23 s and five reads. Reads may lag behind writes, and a request whose answer we lost
may still be on its way."""

READING = Pacing(first=timedelta(seconds=1), longest=timedelta(seconds=8), limit=6)
"""For reading back what has just been published."""
