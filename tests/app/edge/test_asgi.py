"""The application as it is served: the real schema over real services, by HTTP and sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.types import ASGIApp
from websockets.asyncio.client import connect

from app import api as served
from app.asgi import create_app
from app.auth import Authenticator
from app.graphiql import GraphiQL
from app.metrics import Metrics
from app.options import EdgeOptions
from app.settings import Environment
from app.streams import OpenStreams
from schema.build import build_schema
from schema.documents import DocumentCache, DocumentLimits
from schema.extensions import list_extensions
from schema.extensions.request_timeout import TimeLimits
from schema.extensions.subscription_slots import SubscriptionCounts
from services.backends.database import Database
from services.domain.viewers import Role, Scope
from tests.graphql_api import Api, account_id, in_hours, open_api
from tests.rig import Rig

Serve = Callable[[ASGIApp], Awaitable[str]]
MakeKey = Callable[..., Awaitable[str]]


@dataclass
class Whole:
    """The application on a server."""

    app: Starlette
    origin: str
    http: httpx.AsyncClient
    api: Api

    async def ask(self, query: str, token: str | None = None, **variables: Any) -> Any:
        """An answer's JSON."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = await self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        return response.json()


def utc_now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


@pytest.fixture
async def whole(database: Database, database_url: str, redis_url: str, serve: Serve) -> AsyncIterator[Whole]:
    """Everything but a worker."""
    async with open_api(database_url=database_url, redis_url=redis_url) as api:
        extensions = list_extensions(
            documents=DocumentCache(limits=DocumentLimits()),
            times=TimeLimits.same(timedelta(seconds=10)),
            subscriptions=SubscriptionCounts(most=10),
        )
        app = create_app(
            services=api.services,
            schema=build_schema(extensions=extensions),
            authenticator=Authenticator(database=database, jwts=None, now=utc_now),
            streams=OpenStreams(),
            options=EdgeOptions(),
            now=utc_now,
            meter=Metrics(version="test").requests,
            graphiql=GraphiQL(assets=None, token=None),
        )
        origin = await serve(app)
        async with httpx.AsyncClient(base_url=origin, timeout=20) as http:
            yield Whole(app, origin, http, api)
    async with database.connect() as connection:
        await connection.execute(text("TRUNCATE users, outbox CASCADE"))


async def test_health_is_open_to_everybody_by_every_road(whole: Whole) -> None:
    """Liveness, the whole report, and GraphQL say the same."""
    live = await whole.http.get("/api/v1/health")
    assert (live.status_code, live.json()) == (200, {"status": "ok", "version": "0.test"})
    detailed = await whole.http.get("/api/v1/health/detailed")
    assert detailed.status_code == 200
    report = detailed.json()
    assert report["status"] == "degraded"
    assert {check["name"]: check["status"] for check in report["checks"]}["workers"] == "degraded"
    asked = await whole.ask("{health {status version checks {name status latencyMs detail}}}")
    assert asked["data"]["health"]["status"] == "degraded"
    assert [check["name"] for check in asked["data"]["health"]["checks"]] == [
        check["name"] for check in report["checks"]
    ]


async def test_stopping_process_answers_503(whole: Whole) -> None:
    """So that nothing sends it requests any more; what comes is still answered."""
    whole.api.services.health.begin_stopping()
    assert (await whole.http.get("/api/v1/health")).status_code == 503
    detailed = await whole.http.get("/api/v1/health/detailed")
    assert (detailed.status_code, detailed.json()["status"]) == (503, "unfit")
    assert (await whole.ask("{health {status}}"))["data"]["health"]["status"] == "unfit"


async def test_person_sees_their_own_through_http(whole: Whole, a_key: MakeKey) -> None:
    """And without a key nothing, with UNAUTHENTICATED at each field."""
    token = await a_key(name="Ada")
    assert (await whole.ask("{viewer {name role}}", token))["data"]["viewer"] == {"name": "Ada", "role": "PERSON"}
    nobody = await whole.ask("{viewer {name}}")
    assert nobody["data"] == {"viewer": None}
    assert nobody["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_everything_a_calendar_page_asks_is_within_the_limits(whole: Whole, a_key: MakeKey) -> None:
    """A full page of posts with all that belongs to them, and all accounts."""
    query = """
    query Calendar($first: Int = 50) {
      viewer { id name }
      posts(first: $first, orderBy: SCHEDULED_AT_ASC) {
        totalCount
        pageInfo { hasNextPage endCursor }
        edges { cursor node {
          id caption status scheduledAt version author { id name }
          media { id kind url }
          targets {
            id status caption permalink waitingFor { code until } lastError { code }
            account { id handle platform rateLimit { remaining } circuitBreaker { state } }
            attempts(first: 5) { nodes { id outcome } }
          }
        } }
      }
      accounts(first: 20) { nodes { id platform status } }
    }
    """
    answer = await whole.ask(query, await a_key())
    assert "errors" not in answer, answer


async def test_nested_lists_of_everything_are_refused(whole: Whole, a_key: MakeKey) -> None:
    """A hundred accounts with a hundred posts each."""
    query = "{accounts(first: 100) {nodes {posts(first: 100) {nodes {targets {id}}}}}}"
    answer = await whole.ask(query, await a_key())
    assert answer["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    assert "data" not in answer


async def test_change_is_told_over_a_socket(whole: Whole, a_key: MakeKey, database: Database) -> None:
    """The state first, then the change, as text frames with six digits and `Z`."""
    token = await a_key(name="Ada")
    ada = await Authenticator(database=database, jwts=None, now=utc_now).identify(f"Bearer {token}")
    assert ada is not None
    account = await whole.api.add_account(ada)
    url = whole.origin.replace("http", "ws", 1) + "/graphql"
    async with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]  # a NewType of str
        await socket.send(
            orjson.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}).decode()
        )
        assert orjson.loads(await socket.recv())["type"] == "connection_ack"
        query = "subscription {postsChanged {__typename}}"
        await socket.send(orjson.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}).decode())
        await asyncio.sleep(0.2)
        created = await whole.ask(
            "mutation ($input: SchedulePostInput!) {schedulePost(input: $input) {post {id} userErrors {code}}}",
            token,
            input={"caption": "Hi", "accountIds": [account_id(account)], "scheduledAt": in_hours(1)},
        )
        assert created["data"]["schedulePost"]["userErrors"] == []
        message = orjson.loads(await asyncio.wait_for(socket.recv(), 5))
        assert message["type"] == "next"


async def test_browser_gets_the_page_and_programs_the_api(whole: Whole) -> None:
    """At the same address; the page's own policy lets it work."""
    page = await whole.http.get("/graphql", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    asked = await whole.http.get("/graphql", params={"query": "{health {status}}"}, headers={"X-Crier-Client": "x"})
    assert asked.json()["data"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/oauth/facebook/callback", 400, "not complete"),
        ("/oauth/myspace/callback?state=x&code=y", 400, "not complete"),
        ("/oauth/facebook/callback?state=x&error=access_denied", 400, "did not give its permission"),
        ("/oauth/facebook/callback?state=x&code=y", 400, "used before or is too old"),
        ("/oauth/facebook/callback?state=%3Cscript%3E&code=%3Cscript%3E", 400, "used before or is too old"),
    ],
)
async def test_broken_oauth_round_trip_ends_on_a_page_that_says_so(
    whole: Whole, path: str, status: int, says: str
) -> None:
    """Nothing of what came is repeated on it, and nothing can run on it."""
    answer = await whole.http.get(path)
    assert answer.status_code == status
    assert says in answer.text
    assert "<script>" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")


async def test_operator_scope_is_needed_for_operators_fields(whole: Whole, a_key: MakeKey) -> None:
    """The role alone will not do."""
    for role, scope, is_allowed in (
        (Role.PERSON, Scope.ADMIN, False),
        (Role.ADMIN, Scope.WRITE, False),
        (Role.ADMIN, Scope.ADMIN, True),
    ):
        answer = await whole.ask("{circuitBreakers {name state}}", await a_key(role=role, scope=scope))
        assert ("errors" not in answer) is is_allowed
        if not is_allowed:
            assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


PRYING: dict[str, dict[str, Any]] = {
    "all types": {"query": "{ __schema { types { name } } }"},
    "one type": {"query": '{ __type(name: "Post") { fields { name } } }'},
    "a field": {"query": "{ healt { status } }"},
    "an argument": {"query": "{ posts(filte: {}) { totalCount } }"},
    "a value": {"query": "{ posts(orderBy: CREATED_AT_AS) { totalCount } }"},
    "a variable": {
        "query": "query ($o: PostOrder!) { posts(orderBy: $o) { totalCount } }",
        "variables": {"o": "CREATED_AT_AS"},
    },
}
"""What somebody asks who does not know the schema."""
RIGHT_NAMES = ("PostTarget", "caption", "health", "filter", "CREATED_AT_ASC")
"""What a developer is told in answer."""


@pytest.mark.parametrize("environment", Environment)
async def test_schema_is_told_to_developers_and_not_in_production(rig: Rig, environment: Environment) -> None:
    """Neither when asked for, nor by the names that stand beside a wrong one; and only there is TLS insisted on."""
    settings = rig.container.settings.model_copy(update={"environment": environment})
    told = {}
    async with served.open_api(replace(rig.container, settings=settings)) as api:
        transport = httpx.ASGITransport(api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            for what, body in PRYING.items():
                answer = await http.post("/graphql", json=body)
                told[what] = any(name in answer.text for name in RIGHT_NAMES)
    is_open = environment is Environment.DEVELOPMENT
    assert told == dict.fromkeys(PRYING, is_open)
    assert ("strict-transport-security" in answer.headers) is not is_open
