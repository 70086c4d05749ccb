"""The real clients before a real sandbox, over HTTP."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.sandbox.running import RunningSandbox
from services.domain.accounts import Platform
from services.domain.publishing import Step
from services.providers.base import Authorizer, Provider
from services.providers.config import PlatformConfig
from services.providers.facebook import FacebookProvider
from services.providers.instagram import InstagramProvider
from services.providers.media_source import MediaSource
from services.providers.pacing import Pacing
from services.providers.registry import build_authorizers
from services.providers.wire import open_http
from services.providers.youtube import YouTubeProvider
from tests.contract.driver import Drive
from tests.contract.media import media_host
from tests.contract.shapes import ACCOUNTS, SHAPES, a_delivery

QUICK = Pacing(first=timedelta(milliseconds=1), longest=timedelta(milliseconds=8), limit=6)
PIECE_BYTES = 512 * 1024

Providers = Mapping[Platform, Provider]
Driving = Callable[..., Drive]


def now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    """One server for a test file."""
    with RunningSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: RunningSandbox) -> RunningSandbox:
    """The server as on its first day."""
    running.reset()
    return running


@pytest.fixture
def configs(sandbox: RunningSandbox) -> Mapping[Platform, PlatformConfig]:
    """Every platform below the sandbox, as its one app."""
    return {
        platform: PlatformConfig.of(
            platform,
            client_id="crier-sandbox",
            client_secret="crier-sandbox-secret",
            base_url=f"{sandbox.url}/{platform.value.lower()}",
        )
        for platform in Platform
    }


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """The client that production uses."""
    async with open_http() as client:
        yield client


@pytest.fixture
async def media_http() -> AsyncIterator[httpx.AsyncClient]:
    """A client that reaches the tests' media host alone."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=media_host)) as client:
        yield client


@pytest.fixture
def providers(
    http: httpx.AsyncClient, media_http: httpx.AsyncClient, configs: Mapping[Platform, PlatformConfig]
) -> Providers:
    """The three clients, impatient."""
    shared: dict[str, Any] = {"http": http, "now": now, "processing": QUICK}
    return {
        Platform.INSTAGRAM: InstagramProvider(config=configs[Platform.INSTAGRAM], grace=QUICK, reading=QUICK, **shared),
        Platform.FACEBOOK: FacebookProvider(config=configs[Platform.FACEBOOK], grace=QUICK, **shared),
        Platform.YOUTUBE: YouTubeProvider(
            config=configs[Platform.YOUTUBE],
            media=MediaSource(http=media_http),
            piece_bytes=PIECE_BYTES,
            reading=QUICK,
            **shared,
        ),
    }


@pytest.fixture
def authorizers(http: httpx.AsyncClient, configs: Mapping[Platform, PlatformConfig]) -> Mapping[Platform, Authorizer]:
    """The three OAuth clients."""
    return build_authorizers(http=http, configs=configs, now=now)


@pytest.fixture
def driving(sandbox: RunningSandbox, providers: Providers) -> Driving:
    """`driving("facebook_photo", caption=…)`: a fresh delivery of that shape, ready to be driven."""

    def make(name: str, *, before: Callable[[Step], None] = lambda _: None, **more: Any) -> Drive:
        shape = SHAPES[name]
        token = sandbox.token_for(shape.platform.value.lower(), ACCOUNTS[shape.platform])
        delivery = a_delivery(shape, sandbox_url=sandbox.url, token=token, **more)
        return Drive(providers[shape.platform], delivery, before)

    return make


@pytest.fixture
def shown(sandbox: RunningSandbox) -> Callable[[], list[dict[str, Any]]]:
    """All that people see on all platforms."""

    def look() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = sandbox.http.get("/control/publications").raise_for_status().json()
        return found

    return look
