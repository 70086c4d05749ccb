"""The platforms as the settings say: whose app we are there, and where they are."""

from app.settings import Settings
from services.domain.accounts import Platform
from services.providers.config import PlatformConfig

SANDBOX_CLIENT = ("crier-sandbox", "crier-sandbox-secret")
"""As which the sandbox knows us; no secret, for it guards nothing."""


def platforms_of(settings: Settings) -> dict[Platform, PlatformConfig]:
    """Those that are set up here; without credentials of our own a local run talks to the sandbox."""
    return {platform: config for platform in Platform if (config := _config_of(settings, platform)) is not None}


def _config_of(settings: Settings, platform: Platform) -> PlatformConfig | None:
    """A platform that is not set up is the sandbox in development, and away in production."""
    of = settings.of_platform
    client_id, client_secret = of(platform, "client_id"), of(platform, "client_secret")
    base_url = of(platform, "base_url")
    if client_id is None or client_secret is None:
        if settings.is_production:
            return None
        client_id, client_secret = SANDBOX_CLIENT
        base_url = base_url or f"{settings.sandbox_url}/{platform.value.lower()}"
    return PlatformConfig.of(
        platform,
        client_id=client_id,
        client_secret=client_secret,
        base_url=base_url,
        api_version=of(platform, "api_version"),
    )
