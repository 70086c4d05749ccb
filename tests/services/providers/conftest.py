"""Clients before a scripted platform: what is asked of it is kept, what it answers is up to the test."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.domain.accounts import Platform
from services.providers.base import Provider
from services.providers.config import PlatformConfig
from services.providers.facebook import FacebookProvider
from services.providers.instagram import InstagramProvider
from services.providers.media_source import MediaSource
from services.providers.pacing import Pacing
from services.providers.youtube import YouTubeProvider

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
PACING = Pacing(first=timedelta(seconds=1), longest=timedelta(seconds=8), limit=3)

Script = Callable[[httpx.Request], httpx.Response]


@dataclass
class FakePlatform:
    """Answers by a script and remembers the requests."""

    script: Script
    requests: list[httpx.Request] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """One request, as `httpx.MockTransport` hands it over."""
        self.requests.append(request)
        return self.script(request)


def config_of(platform: Platform) -> PlatformConfig:
    """The platform as it really is."""
    return PlatformConfig.of(platform, client_id="app", client_secret="hush")


def now() -> datetime:
    """Always the same moment."""
    return NOW


@pytest.fixture
def fake_platform() -> FakePlatform:
    """A platform that knows nothing yet: set its script."""
    return FakePlatform(lambda _: httpx.Response(404))


@pytest.fixture
def providers(fake_platform: FakePlatform) -> Mapping[Platform, Provider]:
    """The clients at the platforms' real addresses, all of which the fake answers."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(fake_platform.handle))
    return {
        Platform.INSTAGRAM: InstagramProvider(
            http=http, config=config_of(Platform.INSTAGRAM), now=now, processing=PACING, grace=PACING, reading=PACING
        ),
        Platform.FACEBOOK: FacebookProvider(
            http=http, config=config_of(Platform.FACEBOOK), now=now, processing=PACING, grace=PACING
        ),
        Platform.YOUTUBE: YouTubeProvider(
            http=http,
            media=MediaSource(http=http),
            config=config_of(Platform.YOUTUBE),
            now=now,
            processing=PACING,
            reading=PACING,
        ),
    }
