"""All platforms at once: what publishes to them, and what connects accounts on them."""

from collections.abc import Callable, Mapping
from datetime import datetime

import httpx

from services.domain.accounts import Platform
from services.providers.base import Authorizer, Provider
from services.providers.config import PlatformConfig
from services.providers.facebook import FacebookProvider
from services.providers.facebook_oauth import FacebookAuthorizer
from services.providers.instagram import InstagramProvider
from services.providers.instagram_oauth import InstagramAuthorizer
from services.providers.media_source import MediaSource
from services.providers.youtube import YouTubeProvider
from services.providers.youtube_oauth import YouTubeAuthorizer

Configs = Mapping[Platform, PlatformConfig]


def build_providers(
    *, http: httpx.AsyncClient, media_http: httpx.AsyncClient, configs: Configs, now: Callable[[], datetime]
) -> Mapping[Platform, Provider]:
    """A client for each platform that is configured. `http` talks to platforms; `media_http` fetches what people's
    URLs name, and refuses what must not be fetched by raising an `httpx.TransportError`."""
    builders: Mapping[Platform, Callable[[PlatformConfig], Provider]] = {
        Platform.INSTAGRAM: lambda config: InstagramProvider(http=http, config=config, now=now),
        Platform.FACEBOOK: lambda config: FacebookProvider(http=http, config=config, now=now),
        Platform.YOUTUBE: lambda config: YouTubeProvider(
            http=http, media=MediaSource(http=media_http), config=config, now=now
        ),
    }
    return {platform: builders[platform](config) for platform, config in configs.items()}


def build_authorizers(
    *, http: httpx.AsyncClient, configs: Configs, now: Callable[[], datetime]
) -> Mapping[Platform, Authorizer]:
    """An OAuth client for each platform that is configured."""
    authorizers: Mapping[Platform, Callable[..., Authorizer]] = {
        Platform.INSTAGRAM: InstagramAuthorizer,
        Platform.FACEBOOK: FacebookAuthorizer,
        Platform.YOUTUBE: YouTubeAuthorizer,
    }
    return {platform: authorizers[platform](http=http, config=config, now=now) for platform, config in configs.items()}
