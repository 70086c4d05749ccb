"""Builds every service once, from the settings down; nothing else reads settings or knows how parts fit together."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from app.backends import Backends
from app.embedded import Endpoints
from app.metrics import Metrics, Standing
from app.parts import PLAIN, Parts
from app.platforms import platforms_of
from app.revisions import newest_revision
from app.settings import Settings, milliseconds
from app.versions import VERSION
from app.windows import windows_of
from app.worker import Duty, Worker
from resolvers.context import Services
from resolvers.last_known import LastKnown
from services.accounts import AccountService, TokenKeeper
from services.backends.database_clock import DatabaseClock
from services.backends.media_links import MediaLinks
from services.backends.notices import Notices
from services.backends.objects import ObjectStore
from services.backends.secrets import SecretBox
from services.domain.accounts import Platform
from services.domain.breakers import BreakerPolicy
from services.domain.drafts import Rules
from services.domain.limits import BUDGET_SPAN, project_day
from services.guards.api_budget import ApiBudget
from services.guards.budget_leases import BudgetLeases
from services.guards.circuit_breaker import CircuitBreakerService
from services.guards.quotas import Quotas
from services.guards.rate_limiter import RateLimiterService
from services.health import HealthService
from services.posts import PostService
from services.posts.composing import Composer
from services.providers.base import Provider
from services.providers.config import PlatformConfig
from services.providers.registry import build_authorizers, build_providers
from services.publishing.claiming import Claimer
from services.publishing.endings import Endings
from services.publishing.publisher import Publisher
from services.publishing.recording import Recorder
from services.publishing.rescue import rescue_targets
from services.publishing.retry import RetryPolicy
from services.queries.drafting import DUE_SOON
from services.queries.optimizer import QueryOptimizerService
from services.uploads.service import UploadService

PATIENCE = timedelta(seconds=60)
"""With the lease before it: a step of unknown outcome is known, or put before its person, within two minutes."""

MEDIA_LINK_LIFE = timedelta(days=6 * 366)
"""Longer than a post can lie ahead; addresses are signed anew when they are handed to a platform."""


def utc_now() -> datetime:
    """What time it is on this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Container:
    """Everything that is built once per process; each part is made when first asked for."""

    settings: Settings
    endpoints: Endpoints
    secret_keys: tuple[str, ...]
    backends: Backends
    now: Callable[[], datetime] = utc_now
    parts: Parts = PLAIN

    @cached_property
    def services(self) -> Services:
        """What resolvers may use."""
        return Services(
            database=self.backends.database,
            transactions=self.backends.transactions,
            posts=self.posts,
            accounts=self.accounts,
            limits=self.limits,
            breakers=self.breakers,
            cache=self.backends.cache,
            events=self.backends.events,
            health=self.health,
            optimizer=QueryOptimizerService(),
            last_known=LastKnown(),
            on_batch=self.metrics.note_batch,
        )

    @cached_property
    def metrics(self) -> Metrics:
        """What this process counts."""
        metrics = Metrics(version=VERSION)
        metrics.show_pool(self.backends.database.usage)
        metrics.show_cache(lambda: self.backends.cache.own_stats)
        return metrics

    @cached_property
    def standing(self) -> Standing:
        """How things stand, for the metrics."""
        youtube = Platform.YOUTUBE
        return Standing(
            metrics=self.metrics,
            database=self.backends.database,
            gate=self.backends.gate,
            breakers=self.breakers,
            limits=self.limits,
            project_windows={youtube: project_day(youtube, self.settings.daily_limit_youtube_project)},
        )

    @cached_property
    def health(self) -> HealthService:
        """How everything is doing."""
        return HealthService(
            database=self.backends.database,
            gate=self.backends.gate,
            breakers=self.breakers,
            version=VERSION,
            revision=newest_revision(),
        )

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
        policy = BreakerPolicy(
            threshold=self.settings.circuit_breaker_failure_threshold,
            open_for=milliseconds(self.settings.circuit_breaker_timeout),
        )
        return CircuitBreakerService(
            gate=self.backends.gate,
            policy=policy,
            names=[platform.breaker for platform in Platform],
            on_transition=self.metrics.note_transition,
        )

    @cached_property
    def budget(self) -> BudgetLeases:
        """What a viewer may spend on the API, by the minute."""
        return BudgetLeases(
            ApiBudget(
                gate=self.backends.gate,
                capacity=self.settings.api_budget,
                per_second=self.settings.api_budget / BUDGET_SPAN.total_seconds(),
                on_unguarded=self.metrics.note_unguarded,
            )
        )

    @cached_property
    def links(self) -> MediaLinks:
        """Public addresses of uploads."""
        base_url = self.settings.external_url
        return MediaLinks(base_url=base_url, keys=self.secret_keys, lifetime=MEDIA_LINK_LIFE, now=self.now)

    @cached_property
    def uploads(self) -> UploadService:
        """Files that people send."""
        return UploadService(
            database=self.backends.database,
            transactions=self.backends.transactions,
            objects=ObjectStore.at(self.settings.media_store or str(self.settings.data_dir / "media")),
            links=self.links,
            most_bytes=self.settings.media_max_bytes,
            now=self.now,
        )

    @cached_property
    def posts(self) -> PostService:
        """What people do with posts."""
        composer = Composer(rules=lambda: Rules(now=self.now()), media_url=self.links.public_url)
        return PostService(transactions=self.backends.transactions, composer=composer, quotas=self.quotas, now=self.now)

    @cached_property
    def platforms(self) -> dict[Platform, PlatformConfig]:
        """The platforms that are set up here; without credentials of our own a local run talks to the sandbox."""
        return platforms_of(self.settings)

    @cached_property
    def accounts(self) -> AccountService:
        """Connects accounts."""
        return AccountService(
            transactions=self.backends.transactions,
            authorizers=build_authorizers(http=self.backends.http, configs=self.platforms, now=self.now),
            secrets=self.secrets,
            redirect_uri=lambda platform: f"{self.settings.external_url}/oauth/{platform.value.lower()}/callback",
            now=self.now,
        )

    @cached_property
    def tokens(self) -> TokenKeeper:
        """Keeps accounts connected."""
        return TokenKeeper(
            transactions=self.backends.transactions,
            authorizers=build_authorizers(http=self.backends.http, configs=self.platforms, now=self.now),
            secrets=self.secrets,
        )

    @cached_property
    def clock(self) -> DatabaseClock:
        """The time that workers go by."""
        return DatabaseClock(database=self.backends.database, wall=self.now)

    @cached_property
    def providers(self) -> Mapping[Platform, Provider]:
        """What publishes to the platforms that are set up here."""
        backends = self.backends
        return build_providers(
            http=backends.http, media_http=backends.media_http, configs=self.platforms, now=self.clock.now
        )

    @cached_property
    def endings(self) -> Endings:
        """What a target becomes after a step."""
        return Endings(now=self.clock.now, random=random.random, retry=RetryPolicy(), patience=PATIENCE)

    @cached_property
    def claimer(self) -> Claimer:
        """Takes what is due."""
        return Claimer(
            transactions=self.backends.transactions,
            quotas=self.quotas,
            windows=windows_of(self.settings, self.limits),
            now=self.clock.now,
            lease_for=milliseconds(self.settings.publish_lease),
            missed_after=milliseconds(self.settings.missed_after),
            watch=self.metrics,
        )

    @cached_property
    def publisher(self) -> Publisher:
        """Sends what was claimed."""
        return self.parts.publisher(
            recorder=Recorder(
                transactions=self.backends.transactions,
                quotas=self.quotas,
                endings=self.endings,
                lease_for=milliseconds(self.settings.publish_lease),
            ),
            providers=self.providers,
            breakers=self.breakers,
            secrets=self.secrets,
            endings=self.endings,
            media_url=self.links.renew,
            now=self.clock.now,
            lease_for=milliseconds(self.settings.publish_lease),
            watch=self.metrics,
        )

    def worker(self) -> Worker:
        """A worker with all its duties."""
        url = self.endpoints.database_url
        worker = Worker(
            database=self.backends.database,
            clock=self.clock,
            claimer=self.claimer,
            publisher=self.publisher,
            notices=None if self.settings.db_through_pgbouncer else Notices(url=url, channel=DUE_SOON),
            duties=self.duties(),
            concurrency=self.settings.worker_concurrency,
            lease_for=milliseconds(self.settings.publish_lease),
            grace=milliseconds(self.settings.shutdown_grace),
        )
        self.metrics.show_worker(lambda: worker.publishing, most=self.settings.worker_concurrency)
        return worker

    def duties(self) -> list[Duty]:
        """What a worker does besides publishing."""
        watched = self.metrics.watched
        return [
            Duty("clock", timedelta(seconds=10), watched("clock", self.clock.set)),
            Duty("rescue", timedelta(seconds=2), watched("rescue", self._rescue)),
            Duty("outbox", timedelta(milliseconds=500), watched("outbox", self.backends.outbox.replay)),
            Duty("tokens", timedelta(seconds=30), watched("tokens", self.tokens.refresh_due)),
            Duty("quotas", timedelta(minutes=1), watched("quotas", self.limits.sweep)),
        ]

    async def _rescue(self) -> None:
        self.metrics.note_rescued(await rescue_targets(self.backends.transactions))
