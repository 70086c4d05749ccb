"""The windows that bind a publication: the person's hour, what platforms grant, and the pace after an outage."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.domain.accounts import Platform
from services.domain.limits import Window, account_day, catching_up, project_date
from services.queries.turns import DueTarget

LATE_AFTER = timedelta(minutes=5)
"""What is overdue for longer by the calendar was held up: it is caught up with at a pace, not at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationWindows:
    """Which windows a due target needs a slot in."""

    hour: Callable[[str, Platform], Window]
    """What one person, by key, may publish in an hour."""
    account_days: Mapping[Platform, int]
    """What one account may publish in 24 hours, where that is set."""
    project_dates: Mapping[Platform, int]
    """What all users together may upload on one of the platform's dates."""
    late_spacing: timedelta
    """How far apart the overdue posts of one account go out."""
    now: Callable[[], datetime]

    def __call__(self, target: DueTarget) -> list[Window]:
        """The windows of one target."""
        platform = target.platform
        windows = [self.hour(f"user:{target.user_id}", platform)]
        if platform in self.account_days:
            windows.append(account_day(target.account_id, platform, self.account_days[platform]))
        if not target.was_begun and self.now() - target.scheduled_at > LATE_AFTER:
            windows.append(catching_up(target.account_id, self.late_spacing))
        return windows

    def of_projects(self) -> dict[Platform, Window]:
        """The windows that all users share, as they are today: no target's, but each counted call's (`allowances`)."""
        return {platform: project_date(platform, limit, self.now()) for platform, limit in self.project_dates.items()}
