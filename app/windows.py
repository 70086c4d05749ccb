"""The windows that bind a publication: the person's hour as the settings say, and what the platform itself grants."""

from app.settings import Settings
from services.domain.accounts import Platform
from services.domain.limits import Window, account_day, project_day
from services.guards.rate_limiter import RateLimiterService
from services.publishing.claiming import Windows
from services.queries.claims import DueTarget


def windows_of(settings: Settings, limits: RateLimiterService) -> Windows:
    """Gives the windows of any due target."""

    def windows(target: DueTarget) -> list[Window]:
        person = limits.window(f"user:{target.user_id}", target.platform)
        match target.platform:
            case Platform.INSTAGRAM:
                return [person, account_day(target.account_id, target.platform, settings.daily_limit_instagram)]
            case Platform.FACEBOOK if settings.daily_limit_facebook is not None:
                return [person, account_day(target.account_id, target.platform, settings.daily_limit_facebook)]
            case Platform.YOUTUBE:
                return [person, project_day(target.platform, settings.daily_limit_youtube_project)]
            case _:
                return [person]

    return windows
