"""SQLAlchemy's pool, made to shrink again when a burst is long over."""

import time
from typing import Any

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

_WINDOW = 60.0


class ShrinkingPool(AsyncAdaptedQueuePool):
    """Keeps what the last one or two minutes needed at once, and never fewer than `minimum`.

    SQLAlchemy's own overflow closes every connection beyond the pool's size as it comes back, so that a pool under
    load opens and closes all the time; without overflow it never shrinks.
    """

    minimum: int = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._since = time.monotonic()
        self._peak = 0
        self._peak_before = 0

    def _do_get(self) -> ConnectionPoolEntry:
        entry = super()._do_get()
        self._turn_over()
        self._peak = max(self._peak, self.checkedout())
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        self._turn_over()
        needed = max(self.minimum, self._peak, self._peak_before)
        if self.checkedin() + self.checkedout() <= needed:
            super()._do_return_conn(record)
            return
        try:
            record.close()
        finally:
            self._dec_overflow()

    def _turn_over(self) -> None:
        """Begin a new window once the present one is over."""
        elapsed = time.monotonic() - self._since
        if elapsed < _WINDOW:
            return
        self._peak_before = self._peak if elapsed < 2 * _WINDOW else 0
        self._peak = self.checkedout()
        self._since = time.monotonic()
