"""Limits over time: how many publications a window may hold, and what a viewer may spend on the API.

A window slides: whatever span of its length one looks at, wherever it starts, holds no more than `limit`. A publication
counts from the moment its slot is taken until `length` after its call has ended.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from services.domain.accounts import Platform
from services.domain.errors import RateLimited

PACIFIC = ZoneInfo("America/Los_Angeles")
"""Google's days end at midnight there."""

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

BUDGET_SPAN = timedelta(minutes=1)
"""In so long a viewer's whole API budget flows back."""

LONGEST_WINDOW = DAY
"""No window is longer: what ended before that binds nobody and may be forgotten."""


class NeverLeft(Exception):
    """The request never reached the platform; whoever raises it (or a subclass) gives the slot back."""


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` publications in any span of `length`; `key` names what they are counted by."""

    key: str
    limit: int
    length: timedelta
    ends_at: datetime | None = None
    """When all of it is free at once, where it follows a calendar; the key then names the date."""
    reason: str | None = None
    """Why one waits for it, where that is not the number of publications."""

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"a window holds 0 or more publications, not {self.limit}")
        if not timedelta(0) < self.length <= LONGEST_WINDOW:
            raise ValueError(f"a window is longer than nothing and at most {LONGEST_WINDOW}, not {self.length}")


def account_day(account_id: UUID, platform: Platform, limit: int) -> Window:
    """What the platform grants one account in 24 hours."""
    return Window(f"account:{account_id}|{platform}|day", limit, DAY)


def project_date(platform: Platform, limit: int, now: datetime) -> Window:
    """What Google grants our client id, which all users share, on a date in California."""
    today = now.astimezone(PACIFIC).date()
    reason = f"All {limit} uploads that {platform.label} grants all users together today are used up."
    return Window(f"project|{platform}|{today}", limit, DAY, ends_at=midnight_after(now), reason=reason)


def midnight_after(now: datetime) -> datetime:
    """When Google's day ends; 23 or 25 hours are possible, and so it is told in UTC."""
    tomorrow = now.astimezone(PACIFIC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), PACIFIC).astimezone(UTC)


def catching_up(account_id: UUID, spacing: timedelta) -> Window:
    """The pace at which one account's overdue posts go out after an outage."""
    reason = "Overdue posts go out one by one, the oldest first."
    return Window(f"account:{account_id}|late", 1, spacing, reason=reason)


@dataclass(frozen=True, slots=True)
class WindowUse:
    """How full a window is; looking takes nothing."""

    window: Window
    used: int
    reset_at: datetime | None
    """When the next place comes free, if calls that still run ended now; None while nothing is used."""
    as_of: datetime = field(compare=False)

    @property
    def remaining(self) -> int:
        """How many more may go now."""
        return max(0, self.window.limit - self.used)


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Why a delivery took no slot: of its full windows, the one that stays full the longest."""

    window: Window
    free_at: datetime
    """When its place comes free, those refused before it in the same batch having gone first."""
    retry_after: float
    """The same in seconds from now."""

    def as_error(self) -> RateLimited:
        """The refusal for whoever waits for an answer."""
        counted = f"All {self.window.limit} publications of this {_span(self.window.length)} are used up."
        message = self.window.reason or counted
        return RateLimited(message, retry_after=self.retry_after, reset_at=self.free_at)


def _span(length: timedelta) -> str:
    names = {HOUR: "hour", DAY: "day"}
    return names.get(length, f"span of {length.total_seconds():g} s")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A person's publications on one platform, as anybody may see them."""

    key: str
    platform: Platform
    limit: int
    used: int
    remaining: int
    reset_at: datetime | None
    window_seconds: float
    as_of: datetime = field(compare=False)


@dataclass(frozen=True, slots=True)
class Spending:
    """What became of a wish to spend from the API's budget; times in seconds."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_after: float
    """Until the whole budget is there again."""
    retry_after: float
    """Until the same wish would be granted; 0 where it was."""
