"""The API over a container: what `create_app` needs, made from the settings; and the small one a worker serves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette

from app.asgi import assemble, create_app
from app.assets import find_assets
from app.auth import Authenticator
from app.console import console_routes
from app.container import Container
from app.doorkeeping import Doorkeeper
from app.foundations import utc_now
from app.graphiql import GraphiQL
from app.health import health_routes
from app.leaving import RunningRequests
from app.media import Media
from app.metrics import metrics_routes
from app.options import EdgeOptions
from app.reference import reference_routes
from app.settings import Settings, SettingsError, milliseconds
from app.streams import OpenStreams
from app.trusted import read_trusted
from app.versions import VERSION
from schema.build import build_schema
from schema.documents import DocumentCache, DocumentLimits
from schema.extensions import list_extensions
from schema.extensions.request_timeout import TimeLimits
from schema.extensions.subscription_slots import SubscriptionCounts
from services.backends.documents import DocumentStore
from services.domain.health import HealthStatus
from services.domain.limits import BUDGET_SPAN
from services.guards.api_budget import ApiBudget
from services.guards.failures import FailedAttempts
from services.uploads.service import UploadService

if TYPE_CHECKING:
    from app.jwts import JwtVerifier

LAST_CALL = 0.5
"""Seconds between `not ready` and the closed door: a connection that the kernel took but nobody accepted is reset."""

LAST_WORDS = 2.0
"""Seconds at most in which all who wait are told that the process goes at once."""


@dataclass(frozen=True, slots=True)
class Api:
    """The application, and the way to tell its clients that it will go."""

    app: Starlette
    streams: OpenStreams
    running: RunningRequests
    container: Container

    async def begin_shutdown(self) -> None:
        """Not ready from now on, which whoever sends requests is given a moment to see; what has connected by then is
        taken. Then every subscription is told to go elsewhere."""
        self.container.health.begin_stopping()
        await asyncio.sleep(LAST_CALL)
        await self.streams.close_all()

    async def cut_short(self) -> None:
        """End all that runs, and say so to everybody who waits."""
        await asyncio.gather(self.streams.close_all(), self.running.cut_short(within=LAST_WORDS))


@asynccontextmanager
async def open_api(container: Container, *, demo_token: str | None = None) -> AsyncIterator[Api]:
    """The whole API. `demo_token` is filled into GraphiQL for browsers on this machine."""
    settings = container.settings
    uploads = open_uploads(container)
    options = edge_options(settings)
    metrics = container.metrics
    authenticator = Authenticator(
        database=container.backends.database,
        jwts=jwt_verifier(settings, container.backends.http),
        now=utc_now,
        doorkeeper=Doorkeeper(count_failures(container)),
    )
    subscriptions = SubscriptionCounts(most=settings.subscriptions_per_viewer)
    schema = build_schema(
        extensions=list_extensions(
            documents=DocumentCache(limits=DocumentLimits(), is_open=not settings.is_production),
            times=TimeLimits.same(options.request_timeout),
            subscriptions=subscriptions,
            budget=container.budget,
            texts=DocumentStore(gate=container.backends.gate),
            trusted=read_trusted(settings.trusted_documents),
        ),
        field_suggestions=not settings.is_production,
    )
    streams, running = OpenStreams(), RunningRequests()
    metrics.show("crier_subscriptions_open", lambda: subscriptions.total)
    metrics.show("crier_sockets_open", lambda: len(streams))
    app = create_app(
        services=container.services,
        schema=schema,
        authenticator=authenticator,
        streams=streams,
        options=options,
        now=utc_now,
        meter=metrics.requests,
        running=running,
        parts=container.parts,
        graphiql=None if settings.is_production else GraphiQL(assets=find_assets(), token=demo_token),
        more_routes=[
            *console_routes(assets=find_assets(), picture_urls=picture_urls(settings)),
            *reference_routes(version=VERSION, assets=find_assets(), has_page=not settings.is_production),
            *Media(uploads=uploads, identify=authenticator.identify).routes(),
            *metrics_routes(metrics, container.standing, token=secret_of(settings.metrics_token)),
        ],
    )
    await authenticator.open()
    try:
        async with container.clock.running(), watching(container):
            yield Api(app, streams, running, container)
    finally:
        await authenticator.close()


def open_uploads(container: Container) -> UploadService:
    """Files that people send; a place for them that cannot be used is an error at start. Raises SettingsError."""
    try:
        return container.uploads
    except (OSError, ValueError) as error:
        raise SettingsError(f"MEDIA_STORE: {error}") from error


@asynccontextmanager
async def watching(container: Container) -> AsyncIterator[None]:
    """The replica at work, where pages may be read from one; its health is the API's."""
    replica = container.replica
    container.metrics.show_replica(replica)
    if replica is None:
        yield
        return
    container.health.watch("reader", replica.check, HealthStatus.DEGRADED)
    await replica.open()
    try:
        yield
    finally:
        await replica.close()


def count_failures(container: Container) -> FailedAttempts:
    """Wrong credentials, counted with all other processes."""
    most = container.settings.auth_failures
    shared = ApiBudget(
        gate=container.backends.gate,
        capacity=most,
        per_second=most / BUDGET_SPAN.total_seconds(),
        on_unguarded=lambda: None,  # each process counts for itself, too
    )
    return FailedAttempts(shared=shared, most=most)


def picture_urls(settings: Settings) -> list[str]:
    """Where pictures lie that are ours: uploads, and in development the sandbox's samples."""
    return [settings.external_url, *([] if settings.is_production else [settings.sandbox_url])]


def worker_api(container: Container) -> Starlette:
    """A worker's health and metrics."""
    return assemble(
        [
            *health_routes(container.health),
            *metrics_routes(container.metrics, container.standing, token=secret_of(container.settings.metrics_token)),
        ],
        edge_options(container.settings),
        container.metrics.requests,
    )


def secret_of(value: SecretStr | None) -> str | None:
    """The plain text behind a setting."""
    return None if value is None else value.get_secret_value()


def edge_options(settings: Settings) -> EdgeOptions:
    """The edge as the settings say."""
    return EdgeOptions(
        is_production=settings.is_production,
        cors_origins=settings.cors_origins,
        request_timeout=milliseconds(settings.request_timeout),
    )


def jwt_verifier(settings: Settings, http: httpx.AsyncClient) -> "JwtVerifier | None":
    """Reads JWTs where the settings name a key for them."""
    if settings.jwt_issuer is None or settings.jwt_audience is None:
        return None
    from app.jwts import JwtVerifier, PublishedKeys, SharedSecret  # whoever takes no JWTs need not carry them

    if settings.jwt_secret is not None:
        keys: SharedSecret | PublishedKeys = SharedSecret(settings.jwt_secret.get_secret_value())
    elif settings.jwt_jwks_url is not None:
        keys = PublishedKeys(location=settings.jwt_jwks_url, client=http)
    else:
        return None
    return JwtVerifier(keys=keys, issuer=settings.jwt_issuer, audience=settings.jwt_audience, now=utc_now)
