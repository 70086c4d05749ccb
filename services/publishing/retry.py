"""When to try again: exponential, with full jitter, bounded; a platform's own word goes first. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """After the n-th failure in a row wait between nothing and `first` x 2^(n-1), never more than `longest`.

    Full jitter spreads a platform's whole crowd of failures best:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    first: timedelta = timedelta(seconds=10)
    longest: timedelta = timedelta(minutes=15)
    most: int = 8
    """So many failures end it."""

    def delay(self, failures: int, *, asked: timedelta | None, random: Callable[[], float]) -> timedelta | None:
        """How long to wait after so many failures (1 or more); None: no more. `asked` is the platform's Retry-After."""
        if failures >= self.most:
            return None
        # The exponent is capped: a long patience must not overflow.
        ceiling = min(self.first * (1 << min(failures - 1, 30)), self.longest)
        jittered = ceiling * random()
        return jittered if asked is None else max(asked, jittered)
