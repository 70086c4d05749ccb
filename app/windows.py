"""The windows that bind a publication: the person's hour as the settings say, and what the platform itself grants."""

from collections.abc import Callable
from datetime import datetime

from app.settings import Settings, milliseconds
from services.domain.accounts import Platform
from services.guards.rate_limiter import RateLimiterService
from services.publishing.windows import PublicationWindows


def windows_of(settings: Settings, limits: RateLimiterService, *, now: Callable[[], datetime]) -> PublicationWindows:
    """Gives the windows of any due target."""
    days = {Platform.INSTAGRAM: settings.daily_limit_instagram, Platform.FACEBOOK: settings.daily_limit_facebook}
    return PublicationWindows(
        hour=limits.window,
        account_days={platform: limit for platform, limit in days.items() if limit is not None},
        project_dates={Platform.YOUTUBE: settings.daily_limit_youtube_project},
        late_spacing=milliseconds(settings.late_spacing),
        now=now,
    )
