"""Telling of what fails again and again, such as a duty while the database is away: a line a minute, not a flood."""

import time
from collections.abc import Callable
from typing import Any

import structlog

from services.domain.errors import CrierError

log = structlog.get_logger(__name__)

TOLD_AGAIN_AFTER = 60.0
"""Seconds."""


class Trouble:
    """One thing that may fail at every turn.

    A failure is logged when it begins, when another joins it, and each of them every minute while they last; their end
    once. Faults of our own that have a code are known and get a line; what nobody foresaw comes with its traceback.
    """

    def __init__(self, event: str, *, clock: Callable[[], float] = time.monotonic, **fields: Any) -> None:
        self._event = event
        self._fields = fields
        self._clock = clock
        self._told: dict[str, float] = {}
        """When each of them was told of last."""
        self._times = 0

    def note(self, error: Exception) -> None:
        """It has failed; to be called while `error` is handled."""
        self._times += 1
        now = self._clock()
        self._told = {shape: at for shape, at in self._told.items() if now - at < TOLD_AGAIN_AFTER}
        shape = f"{type(error).__name__}: {error}"
        if shape in self._told:
            return
        self._told[shape] = now
        if isinstance(error, CrierError):
            log.warning(self._event, **self._fields, code=error.code.value, reason=error.message, times=self._times)
        else:
            log.exception(self._event, **self._fields, times=self._times)

    def end(self) -> None:
        """It has worked."""
        if self._times:
            log.info(f"{self._event}.over", **self._fields, times=self._times)
            self._told.clear()
            self._times = 0
