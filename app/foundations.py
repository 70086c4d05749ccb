"""What the API and workers both stand on: settings, connections, keys, limits, and the time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from app.backends import Backends
from app.endpoints import Endpoints
from app.metrics import Metrics
from app.parts import PLAIN, Parts
from app.platforms import platforms_of
from app.settings import Settings
from app.versions import VERSION
from services.backends.database_clock import DatabaseClock
from services.backends.media_links import LINK_LIFE, MediaLinks
from services.backends.secrets import SecretBox
from services.domain.accounts import Platform
from services.guards.circuit_breaker import CircuitBreakerService
from services.guards.quotas import Quotas
from services.guards.rate_limiter import RateLimiterService
from services.providers.config import PlatformConfig


def utc_now() -> datetime:
    """What time it is on this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Foundations:
    """The lower half of a `Container`."""

    settings: Settings
    endpoints: Endpoints
    secret_keys: tuple[str, ...]
    backends: Backends
    now: Callable[[], datetime] = utc_now
    parts: Parts = PLAIN

    @cached_property
    def metrics(self) -> Metrics:
        """What this process counts."""
        metrics = Metrics(version=VERSION)
        metrics.show_pool(self.backends.database.usage)
        metrics.show_cache(lambda: self.backends.cache.own_stats)
        return metrics

    @cached_property
    def secrets(self) -> SecretBox:
        """Seals the platforms' tokens."""
        return SecretBox(keys=self.secret_keys)

    @cached_property
    def quotas(self) -> Quotas:
        """Publications counted in PostgreSQL."""
        return Quotas()

    @cached_property
    def limits(self) -> RateLimiterService:
        """The person's hour on each platform."""
        return RateLimiterService(
            database=self.backends.database, quotas=self.quotas, limits=self.settings.publication_limits
        )

    @cached_property
    def breakers(self) -> CircuitBreakerService:
        """One breaker per platform's API."""
        return CircuitBreakerService(
            gate=self.backends.gate,
            policy=self.settings.breaker_policy,
            names=[platform.breaker for platform in Platform],
            on_transition=self.metrics.note_transition,
        )

    @cached_property
    def links(self) -> MediaLinks:
        """Public addresses of uploads."""
        url = self.settings.external_url
        return MediaLinks(base_url=url, keys=self.secret_keys, lifetime=LINK_LIFE, now=self.clock.now)

    @cached_property
    def platforms(self) -> dict[Platform, PlatformConfig]:
        """The platforms that are set up here; without credentials of our own a local run talks to the sandbox."""
        return platforms_of(self.settings)

    @cached_property
    def clock(self) -> DatabaseClock:
        """The time that everything goes by which another process may look at."""
        return DatabaseClock(database=self.backends.database, wall=self.now)
