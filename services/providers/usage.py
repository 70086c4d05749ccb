"""How much of a Graph limit is used, as every answer's headers tell: who is about to be turned away stays away.

    X-App-Usage                 {"call_count": 28, "total_time": 25, "total_cputime": 25}, in percent, of our app
    X-Business-Use-Case-Usage   {"<id>": [{"type": "pages", …, "estimated_time_to_regain_access": 0}]}, of one account

Each process remembers what it has been told itself. That is only manners: the platform's refusals bind everybody.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from services.providers.shapes import objects_in

APP, BUSINESS = "x-app-usage", "x-business-use-case-usage"
NEARLY_FULL = 95
"""Percent. What is left is for questions about posts that may be out already: those are always asked."""
LOOK_AGAIN = timedelta(minutes=1)
"""Where the header does not say how long it will last, one call is made after so long, and tells how it stands."""
LONGEST_HOLD = timedelta(days=1)
MOST_ACCOUNTS = 10_000

_MEASURES = ("call_count", "total_time", "total_cputime")


class Usage:
    """The limits of one app, and of the accounts it acts for."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._until: dict[str, datetime] = {}

    def note(self, headers: Mapping[str, str], *, token: str) -> None:
        """What an answer to a call with this token tells."""
        self._hold(APP, _hold_of(_read(headers.get(APP))))
        business = [_hold_of(use) for uses in _read(headers.get(BUSINESS)).values() for use in objects_in(uses)]
        self._hold(token, max(business, default=timedelta(0)))

    def wait(self, *, token: str) -> timedelta | None:
        """For how long no work should be begun with this token; None: it may be now."""
        until = max((self._until[key] for key in (APP, token) if key in self._until), default=None)
        left = None if until is None else until - self._now()
        return left if left is not None and left > timedelta(0) else None

    def _hold(self, key: str, hold: timedelta) -> None:
        self._until.pop(key, None)
        if hold:
            self._until[key] = self._now() + hold
            if len(self._until) > MOST_ACCOUNTS:
                del self._until[next(iter(self._until))]  # the one that was told of the longest ago


def _hold_of(use: Mapping[str, Any]) -> timedelta:
    minutes = _number(use.get("estimated_time_to_regain_access"))
    if minutes > 0:
        return timedelta(minutes=min(minutes, LONGEST_HOLD / timedelta(minutes=1)))
    is_nearly_full = any(_number(use.get(name)) >= NEARLY_FULL for name in _MEASURES)
    return LOOK_AGAIN if is_nearly_full else timedelta(0)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _read(header: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(header or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
