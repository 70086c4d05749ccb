"""Builds every service once, from the settings down; nothing else reads settings or knows how parts fit together."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TypeVar

from app.foundations import Foundations
from app.metrics import Standing
from app.revisions import newest_revision
from app.settings import milliseconds
from app.versions import VERSION
from app.windows import windows_of
from app.worker import Duty, Worker
from resolvers.context import Services
from resolvers.last_known import LastKnown
from services.accounts import AccountService, TokenKeeper
from services.backends.database import Database
from services.backends.notices import Notices
from services.backends.objects import ObjectStore
from services.backends.replica import Replica
from services.domain.accounts import Platform
from services.domain.drafts import Rules
from services.domain.limits import BUDGET_SPAN
from services.guards.api_budget import ApiBudget
from services.guards.budget_leases import BudgetLeases
from services.health import HealthService
from services.posts import Composer, FailedPosts, PostService, Rewriter
from services.providers.base import Provider
from services.providers.registry import build_authorizers, build_providers
from services.publishing.allowances import Allowances
from services.publishing.claiming import Claimer
from services.publishing.clearing import Clearer
from services.publishing.couriers import Courier
from services.publishing.endings import Endings
from services.publishing.preparing import Preparer
from services.publishing.publisher import Publisher
from services.publishing.recording import Recorder
from services.publishing.rescue import rescue_targets
from services.publishing.retry import RetryPolicy
from services.publishing.windows import PublicationWindows
from services.queries.drafting import DUE_SOON
from services.queries.optimizer import QueryOptimizerService
from services.uploads.service import UploadService

C = TypeVar("C", bound=Courier)

PATIENCE = timedelta(seconds=60)
"""With the lease before it: a step of unknown outcome is known, or put before its person, within two minutes."""


@dataclass(frozen=True)
class Container(Foundations):
    """Everything that is built once per process; each part is made when first asked for."""

    @cached_property
    def services(self) -> Services:
        """What resolvers may use."""
        return Services(
            database=self.backends.database,
            transactions=self.backends.transactions,
            posts=self.posts,
            failed=self.failed,
            accounts=self.accounts,
            limits=self.limits,
            breakers=self.breakers,
            cache=self.backends.cache,
            events=self.backends.events,
            health=self.health,
            optimizer=QueryOptimizerService(),
            last_known=LastKnown(),
            replica=self.replica,
            on_batch=self.metrics.note_batch,
        )

    @cached_property
    def replica(self) -> Replica | None:
        """Answers pages, where there is one."""
        url = self.settings.database_reader_url
        if url is None:
            return None
        backends, given = self.backends, url.get_secret_value()
        return Replica(
            reader=self._look_at(given, self.settings.db_pool_min, self.settings.db_pool_max),
            writer=backends.database,
            lookouts=(self._look_at(self.endpoints.database_url), self._look_at(given)),
            gate=backends.gate,
        )

    def _look_at(self, url: str, pool_min: int = 1, pool_max: int = 1) -> Database:
        return Database(
            url=url,
            pool_min=pool_min,
            pool_max=pool_max,
            start_patience=timedelta(0),
            through_pgbouncer=self.settings.db_through_pgbouncer,
            connection_class=self.parts.connection,
        )

    @cached_property
    def standing(self) -> Standing:
        """How things stand, for the metrics."""
        return Standing(
            metrics=self.metrics,
            database=self.backends.database,
            gate=self.backends.gate,
            breakers=self.breakers,
            limits=self.limits,
            project_windows=self.windows.of_projects,
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
    def uploads(self) -> UploadService:
        """Files that people send."""
        return UploadService(
            database=self.backends.database,
            transactions=self.backends.transactions,
            objects=ObjectStore.at(self.settings.media_store or str(self.settings.data_dir / "media")),
            links=self.links,
            most_bytes=self.settings.media_max_bytes,
            now=self.clock.now,
        )

    @cached_property
    def posts(self) -> PostService:
        """What people do with posts."""
        return PostService(
            transactions=self.backends.transactions,
            composer=self._composer,
            rewriter=self._rewriter,
            now=self.clock.now,
        )

    @cached_property
    def failed(self) -> FailedPosts:
        """What operators do with posts that failed."""
        return FailedPosts(transactions=self.backends.transactions, rewriter=self._rewriter, now=self.clock.now)

    @cached_property
    def _composer(self) -> Composer:
        return Composer(
            rules=lambda: Rules(now=self.clock.now()),
            media_url=self.links.public_url,
            prepare_ahead=milliseconds(self.settings.prepare_ahead),
        )

    @cached_property
    def _rewriter(self) -> Rewriter:
        return Rewriter(composer=self._composer, quotas=self.quotas)

    @cached_property
    def accounts(self) -> AccountService:
        """Connects accounts."""
        return AccountService(
            transactions=self.backends.transactions,
            authorizers=build_authorizers(http=self.backends.http, configs=self.platforms, now=self.clock.now),
            secrets=self.secrets,
            redirect_uri=lambda platform: f"{self.settings.external_url}/oauth/{platform.value.lower()}/callback",
            now=self.clock.now,
        )

    @cached_property
    def tokens(self) -> TokenKeeper:
        """Keeps accounts connected."""
        return TokenKeeper(
            transactions=self.backends.transactions,
            authorizers=build_authorizers(http=self.backends.http, configs=self.platforms, now=self.clock.now),
            secrets=self.secrets,
        )

    @cached_property
    def providers(self) -> Mapping[Platform, Provider]:
        """What publishes to the platforms that are set up here."""
        http, media_http = self.backends.http, self.backends.media_http
        return build_providers(http=http, media_http=media_http, configs=self.platforms, now=self.clock.now)

    @cached_property
    def endings(self) -> Endings:
        """What a target becomes after a step."""
        return Endings(now=self.clock.now, random=random.random, retry=RetryPolicy(), patience=PATIENCE)

    @cached_property
    def windows(self) -> PublicationWindows:
        """What binds a publication."""
        return windows_of(self.settings, self.limits, now=self.clock.now)

    @cached_property
    def claimer(self) -> Claimer:
        """Takes what is due."""
        return Claimer(
            transactions=self.backends.transactions,
            quotas=self.quotas,
            windows=self.windows,
            now=self.clock.now,
            lease_for=milliseconds(self.settings.publish_lease),
            missed_after=milliseconds(self.settings.missed_after),
            room=self.settings.worker_concurrency,
            watch=self.metrics,
        )

    @cached_property
    def publisher(self) -> Publisher:
        """Sends what was claimed."""
        return self._courier(self.parts.publisher)

    @cached_property
    def preparer(self) -> Preparer:
        """Does the slow work of what was claimed early."""
        return self._courier(Preparer)

    def _courier(self, kind: Callable[..., C]) -> C:
        return kind(
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
            allowances=Allowances(limits=self.limits, windows=self.windows.of_projects, watch=self.metrics),
            watch=self.metrics,
        )

    @cached_property
    def clearer(self) -> Clearer:
        """Takes away what was prepared in vain."""
        return Clearer(
            transactions=self.backends.transactions,
            providers=self.providers,
            breakers=self.breakers,
            secrets=self.secrets,
            retry=self.endings.retry,
            random=random.random,
            now=self.clock.now,
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
            preparer=self.preparer,
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
            Duty("leftovers", timedelta(seconds=2), watched("leftovers", self.clearer.clear_due)),
            Duty("tokens", timedelta(seconds=30), watched("tokens", self.tokens.refresh_due)),
            Duty("quotas", timedelta(minutes=1), watched("quotas", self.limits.sweep)),
        ]

    async def _rescue(self) -> None:
        self.metrics.note_rescued(await rescue_targets(self.backends.transactions))
