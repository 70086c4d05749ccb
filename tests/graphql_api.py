"""The whole API without HTTP: the schema over real services, PostgreSQL and Redis, with people to ask as."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import httpx
import orjson
import strawberry
from sqlalchemy import insert

from resolvers.context import Context, Services
from resolvers.last_known import LastKnown
from schema.build import build_schema
from schema.extensions.error_codes import ErrorCodes
from services.accounts import AccountService
from services.backends.cache import CacheService
from services.backends.database import Database
from services.backends.events import EventBus
from services.backends.outbox import OutboxRelay
from services.backends.redis import RedisGate
from services.backends.secrets import SecretBox
from services.backends.transactions import DatabaseTransactionService
from services.domain.accounts import AccountStatus, Platform
from services.domain.breakers import BreakerPolicy
from services.domain.drafts import Rules
from services.domain.ids import Kind, encode_id, new_id
from services.domain.posts import AttemptOutcome
from services.domain.viewers import Role, Scope, User, Viewer
from services.guards.circuit_breaker import CircuitBreakerService
from services.guards.quotas import Quotas
from services.guards.rate_limiter import RateLimiterService
from services.health import HealthService
from services.models import ACCOUNTS, ATTEMPTS
from services.posts import Composer, FailedPosts, PostService, Rewriter
from services.providers.config import PlatformConfig
from services.providers.registry import build_authorizers
from services.queries.optimizer import QueryOptimizerService
from services.queries.users import insert_user

LIMITS = {Platform.INSTAGRAM: 25, Platform.FACEBOOK: 50, Platform.YOUTUBE: 10}


@dataclass
class Api:
    """Runs documents as somebody."""

    services: Services
    schema: strawberry.Schema
    gate: RedisGate

    async def run(self, document: str, /, viewer: Viewer | None, **variables: Any) -> dict[str, Any]:
        """The answer as a client has it: `data`, and `errors` where there are any."""
        async with self.context(viewer) as context:
            result = await self.schema.execute(document, variable_values=variables, context_value=context)
        answer: dict[str, Any] = {"data": orjson.loads(orjson.dumps(result.data))}
        if result.errors:
            answer["errors"] = [error.formatted for error in result.errors]
        return answer

    async def data(self, document: str, /, viewer: Viewer | None, **variables: Any) -> dict[str, Any]:
        """The answer's data; there may be no errors."""
        answer = await self.run(document, viewer, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def codes(self, document: str, /, viewer: Viewer | None, **variables: Any) -> list[str]:
        """The codes of the answer's errors."""
        answer = await self.run(document, viewer, **variables)
        return [error["extensions"]["code"] for error in answer.get("errors", [])]

    async def watch(self, document: str, /, viewer: Viewer | None, **variables: Any) -> AsyncIterator[dict[str, Any]]:
        """A subscription's events as a client has them."""
        async with self.context(viewer) as context:
            events = await self.schema.subscribe(document, variable_values=variables, context_value=context)
            async for result in events:
                assert not result.errors, result.errors
                yield orjson.loads(orjson.dumps(result.data))

    @asynccontextmanager
    async def context(self, viewer: Viewer | None) -> AsyncIterator[Context]:
        """A context of one operation."""
        context = Context(services=self.services, viewer=viewer, correlation_id="test")
        try:
            yield context
        finally:
            await context.aclose()

    async def add_person(self, name: str = "Ada", *, role: Role = Role.PERSON, scope: Scope | None = None) -> Viewer:
        """Somebody who may ask; admins come with an admin credential."""
        user = User(new_id(), name, role, datetime.now(UTC))
        async with self.services.database.connect() as c:
            await insert_user(c, user_id=user.id, name=name, role=role)
        return Viewer(user, scope or (Scope.ADMIN if role is Role.ADMIN else Scope.WRITE), "key:test")

    async def add_account(self, owner: Viewer, platform: Platform = Platform.FACEBOOK, **values: Any) -> UUID:
        """A connected account of somebody's."""
        key = new_id()
        row = {
            "id": key,
            "user_id": owner.user.id,
            "platform": platform,
            "external_id": key.hex,
            "handle": f"@{key.hex[-4:]}",
            "display_name": "An account",
            "status": AccountStatus.CONNECTED,
        }
        async with self.services.database.connect() as c:
            await c.execute(insert(ACCOUNTS).values(row | values))
        return key

    async def forget_cache(self) -> None:
        """Nothing is cached any more."""
        await self.gate.run(lambda client: client.flushdb())

    async def add_attempt(self, target: UUID, number: int = 1) -> UUID:
        """A line of a target's ledger."""
        key, now = new_id(), datetime.now(UTC)
        row = {"id": key, "target_id": target, "number": number, "step": "publish", "started_at": now, "ended_at": now}
        async with self.services.database.connect() as c:
            await c.execute(insert(ATTEMPTS).values(row | {"outcome": AttemptOutcome.SUCCEEDED}))
        return key

    async def schedule(
        self, viewer: Viewer, *accounts: UUID, caption: str = "Hello", hours: float = 1, **more: Any
    ) -> str:
        """A scheduled post's id."""
        given = {
            "caption": caption,
            "accountIds": [account_id(key) for key in accounts],
            "scheduledAt": in_hours(hours),
        } | more
        answer = await self.data(SCHEDULE, viewer, input=given)
        assert not answer["schedulePost"]["userErrors"], answer
        return answer["schedulePost"]["post"]["id"]


SCHEDULE = """
mutation ($input: SchedulePostInput!) {
  schedulePost(input: $input) { post { id version status } userErrors { code message field } }
}
"""


def account_id(key: UUID) -> str:
    """An account's id as clients write it."""
    return encode_id(Kind.ACCOUNT, key)


def user_id(viewer: Viewer) -> str:
    """A user's id as clients write it."""
    return encode_id(Kind.USER, viewer.user.id)


def in_hours(hours: float) -> str:
    """A moment from now as clients write it."""
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def reading_only(viewer: Viewer) -> Viewer:
    """The same person with a read-only credential."""
    return replace(viewer, scope=Scope.READ)


@asynccontextmanager
async def open_api(*, database_url: str, redis_url: str) -> AsyncIterator[Api]:
    """All services on these servers."""
    async with AsyncExitStack() as stack:
        database = Database(url=database_url, pool_min=1, pool_max=8)
        await database.open()
        stack.push_async_callback(database.close)
        gate = RedisGate(url=redis_url)
        await gate.open()
        stack.push_async_callback(gate.close)
        events = EventBus(url=redis_url, gate=gate)
        await events.open()
        stack.push_async_callback(events.close)
        outbox = OutboxRelay(database=database, gate=gate)
        stack.push_async_callback(outbox.close)
        transactions = DatabaseTransactionService(database=database, outbox=outbox, random=Random(1))  # noqa: S311 — jitter
        stack.push_async_callback(transactions.close)
        cache = CacheService(gate=gate, version="test", default_ttl=timedelta(hours=1), random=Random(1))  # noqa: S311
        stack.push_async_callback(cache.close)
        http = await stack.enter_async_context(httpx.AsyncClient())

        services = build_services(
            database=database, gate=gate, events=events, transactions=transactions, cache=cache, http=http
        )
        api = Api(services, build_schema(extensions=[ErrorCodes]), gate)
        yield api


def build_services(
    *,
    database: Database,
    gate: RedisGate,
    events: EventBus,
    transactions: DatabaseTransactionService,
    cache: CacheService,
    http: httpx.AsyncClient,
) -> Services:
    """The use cases on top of the backends."""
    now = lambda: datetime.now(UTC)  # noqa: E731
    breakers = CircuitBreakerService(
        gate=gate, policy=BreakerPolicy(), names=[platform.breaker for platform in Platform]
    )
    configs = {
        platform: PlatformConfig.of(
            platform, client_id="id", client_secret="secret", base_url=f"http://127.0.0.1:1/{platform.lower()}"
        )
        for platform in Platform
    }
    composer = Composer(
        rules=lambda: Rules(now=now()),
        media_url=lambda upload: f"https://x.test/{upload.id}",
        prepare_ahead=timedelta(0),
    )
    rewriter = Rewriter(composer=composer, quotas=Quotas())
    return Services(
        last_known=LastKnown(),
        database=database,
        transactions=transactions,
        posts=PostService(transactions=transactions, composer=composer, rewriter=rewriter, now=now),
        failed=FailedPosts(transactions=transactions, rewriter=rewriter, now=now),
        accounts=AccountService(
            transactions=transactions,
            authorizers=build_authorizers(http=http, configs=configs, now=now),
            secrets=SecretBox(keys=["k" * 43]),
            redirect_uri=lambda platform: f"http://127.0.0.1/oauth/{platform.lower()}/callback",
            now=now,
        ),
        limits=RateLimiterService(database=database, quotas=Quotas(), limits=LIMITS),
        breakers=breakers,
        cache=cache,
        events=events,
        health=HealthService(database=database, gate=gate, breakers=breakers, version="0.test", revision="0002"),
        optimizer=QueryOptimizerService(),
    )
