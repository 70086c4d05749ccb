"""What every service stands on, opened in order and closed in reverse."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx

from app.endpoints import Endpoints
from app.parts import PLAIN, Parts
from app.settings import Settings
from app.versions import code_mark
from services.backends.cache import CacheService
from services.backends.database import Database
from services.backends.events import EventBus
from services.backends.outbox import OutboxRelay
from services.backends.public_http import PublicTransport, open_media_http
from services.backends.redis import RedisGate
from services.backends.transactions import DatabaseTransactionService
from services.providers.wire import open_http

MEDIA_TIMEOUT = httpx.Timeout(30, connect=5)
"""Seconds that a server may be silent whose media people name."""


@dataclass(frozen=True, slots=True)
class Backends:
    """PostgreSQL, Redis and the network, ready to use."""

    database: Database
    gate: RedisGate
    events: EventBus
    outbox: OutboxRelay
    transactions: DatabaseTransactionService
    cache: CacheService
    http: httpx.AsyncClient
    """Talks to the platforms."""
    media_http: httpx.AsyncClient
    """Fetches what people's URLs name; in production only from public addresses."""


@asynccontextmanager
async def open_backends(settings: Settings, endpoints: Endpoints, parts: Parts = PLAIN) -> AsyncIterator[Backends]:
    """Open all; whatever was opened is closed again, also where a later part fails to open."""
    database = Database(
        url=endpoints.database_url,
        pool_min=settings.db_pool_min,
        pool_max=settings.db_pool_max,
        through_pgbouncer=settings.db_through_pgbouncer,
        connection_class=parts.connection,
    )
    gate = parts.gate(url=endpoints.redis_url)
    events = EventBus(url=endpoints.redis_url, gate=gate)
    outbox = OutboxRelay(database=database, gate=gate)
    transactions = DatabaseTransactionService(database=database, outbox=outbox, random=random.Random())  # noqa: S311 - jitter
    cache = CacheService(
        gate=gate,
        version=code_mark(),
        default_ttl=timedelta(seconds=settings.cache_default_ttl),
        random=random.Random(),  # noqa: S311 - jitter
    )
    async with AsyncExitStack() as stack:
        for part in (gate, database, events):
            await part.open()
            stack.push_async_callback(part.close)
        for follower in (outbox, transactions, cache):
            stack.push_async_callback(follower.close)
        tls = httpx.create_ssl_context()  # one for all: each holds every authority there is, and takes a while to read
        http = await stack.enter_async_context(open_http(tls=tls))
        transport = PublicTransport(tls=tls) if settings.is_production else httpx.AsyncHTTPTransport(verify=tls)
        media_http = await stack.enter_async_context(
            open_media_http(transport=transport, own_url=settings.external_url, tls=tls)
        )
        media_http.timeout = MEDIA_TIMEOUT
        yield Backends(database, gate, events, outbox, transactions, cache, http, media_http)
