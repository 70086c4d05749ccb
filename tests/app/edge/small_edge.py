"""A small schema behind the real edge: real sockets, real PostgreSQL, and fields that fail in every way there is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NewType

import orjson
import strawberry
from aiodataloader import DataLoader
from graphql import GraphQLError
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from app.asgi import assemble
from app.auth import Authenticator
from app.faults import BadRequest
from app.graphql import GraphQLView
from app.metrics import Metrics
from app.options import EdgeOptions
from app.streams import OpenStreams
from schema.documents import DocumentCache, DocumentLimits
from schema.extensions import list_extensions
from schema.extensions.api_budget import Budget
from schema.extensions.error_codes import QuietSchema
from schema.extensions.persisted import Texts, TrustedDocuments
from schema.extensions.request_timeout import TimedExecutor, TimeLimits
from schema.extensions.subscription_slots import SubscriptionCounts
from services.backends.database import Database
from services.domain.errors import CircuitOpen, ErrorCode, Refused, Unauthenticated, UserError
from services.domain.viewers import Viewer

SECRET = "hunter2-in-a-traceback"


PLACES: dict[str, dict[str, Any]] = {
    "a resolver": {"query": "{fails}"},
    "an asynchronous resolver": {"query": "{failsLater}"},
    "a resolver that takes all data away": {"query": "{failsWhole}"},
    "a property below": {"query": "{item {broken}}"},
    "a property of many": {"query": "{items {edges {node {broken}}}}"},
    "a loader": {"query": "{failsInLoader}"},
    "a GraphQLError": {"query": "{failsAsGraphql}"},
    "the database": {"query": "{failsInDatabase}"},
    "a value of the wrong type": {"query": "{wrongType}"},
    "a scalar on its way out": {"query": "{fragileOut}"},
    "a scalar on its way in": {"query": '{fragileIn(value: "x")}'},
    "a scalar in a variable": {"query": "query ($v: Fragile!) {fragileIn(value: $v)}", "variables": {"v": "x"}},
    "what is no JSON": {"query": "{notJson {number}}"},
    "an extension before the operation": {"query": "query explode_before_operation {quick}"},
    "an extension after the operation": {"query": "query explode_after_operation {quick}"},
    "an extension at parsing": {"query": "query explode_parse {quick}"},
    "an extension at validation": {"query": "query explode_validate {quick}"},
    "an extension at execution": {"query": "query explode_execute {quick}"},
    "an extension at the end": {"query": "query explode_results {quick}"},
}
"""Operations that raise the secret, by where they do."""


@dataclass(kw_only=True)
class SmallContext:
    """What the small schema's resolvers have."""

    database: Database
    viewer: Viewer | None
    correlation_id: str
    extras: dict[str, object] = field(default_factory=dict)
    closed: bool = False
    loader: Any = None

    async def aclose(self) -> None:
        """Note it."""
        self.closed = True


Info = strawberry.Info[SmallContext, None]


def _blow(*_: Any) -> Any:
    raise RuntimeError(SECRET)


Fragile = NewType("Fragile", str)
Picky = NewType("Picky", str)


def _parse_picky(value: object) -> Picky:
    raise GraphQLError(f"A Picky is never {value!r}.")


@strawberry.type
class Item:
    """One of many."""

    number: int

    @strawberry.field
    async def slow(self, info: Info) -> int | None:
        """Takes a minute, in the database."""
        async with info.context.database.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(60)"))
        return self.number

    @strawberry.field
    def broken(self) -> int | None:
        """A property that fails."""
        return _blow()  # type: ignore[no-any-return]

    @strawberry.field
    def items(self, first: int | None = None) -> "list[Item]":
        """More of them."""
        return [Item(number=n) for n in range(first or 2)]


@strawberry.type
class ItemEdge:
    """One item in its place."""

    node: Item


@strawberry.type
class ItemConnection:
    """A page of items."""

    edges: list[ItemEdge]


@strawberry.type
class Query:
    """Everything that can be asked."""

    @strawberry.field
    def quick(self) -> str:
        """At once."""
        return "done"

    @strawberry.field
    def item(self, number: int = 1) -> Item | None:
        """One."""
        return Item(number=number)

    @strawberry.field
    def items(self, first: int | None = None, last: int | None = None) -> ItemConnection:
        """Many."""
        return ItemConnection(edges=[ItemEdge(node=Item(number=n)) for n in range(first or last or 20)])

    @strawberry.field
    def rendered(self) -> Item | None:
        """JSON already."""
        return orjson.Fragment(b'{"number":42}')  # type: ignore[return-value]

    @strawberry.field
    def rendered_list(self) -> list[Item] | None:
        """JSON already."""
        return orjson.Fragment(b'[{"number":42}]')  # type: ignore[return-value]

    @strawberry.field
    async def slow(self, info: Info, seconds: float = 60) -> int | None:
        """Sleeps in the database."""
        async with info.context.database.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(:s)"), {"s": seconds})
        return 1

    @strawberry.field
    async def asleep(self) -> int | None:
        """Sleeps in Python."""
        await asyncio.sleep(60)
        return 1

    @strawberry.field
    def viewer_name(self, info: Info) -> str | None:
        """Who asks."""
        return info.context.viewer.user.name if info.context.viewer else None

    @strawberry.field
    def correlation_id(self, info: Info) -> str:
        """Of this operation."""
        return info.context.correlation_id

    @strawberry.field
    def fails(self) -> int | None:
        """An exception in a resolver."""
        return _blow()  # type: ignore[no-any-return]

    @strawberry.field
    async def fails_later(self) -> int | None:
        """An exception after a wait."""
        await asyncio.sleep(0)
        return _blow()  # type: ignore[no-any-return]

    @strawberry.field
    def fails_whole(self) -> int:
        """An exception that takes all data away."""
        return _blow()  # type: ignore[no-any-return]

    @strawberry.field
    async def fails_in_loader(self) -> int | None:
        """An exception in a batch."""

        async def batch(keys: list[int]) -> list[int]:
            raise RuntimeError(SECRET)

        return await DataLoader(batch).load(1)  # type: ignore[no-any-return]

    @strawberry.field
    def fails_as_graphql(self) -> int | None:
        """A GraphQLError that nobody should raise."""
        raise GraphQLError(SECRET)

    @strawberry.field
    async def fails_in_database(self, info: Info) -> int | None:
        """A mistake in SQL."""
        async with info.context.database.connect() as connection:
            await connection.execute(text(f"SELECT '{SECRET}' FROM nowhere"))
        return 1

    @strawberry.field
    def wrong_type(self) -> int | None:
        """A value that is no Int."""
        return SECRET  # type: ignore[return-value]

    @strawberry.field
    def fragile_out(self) -> Fragile | None:
        """A scalar that cannot be written."""
        return Fragile("x")

    @strawberry.field
    def fragile_in(self, value: Fragile) -> str | None:
        """A scalar that cannot be read."""
        return value

    @strawberry.field
    def picky(self, value: Picky) -> str | None:
        """A scalar that refuses."""
        return value

    @strawberry.field
    def not_json(self) -> Item | None:
        """A fragment that is no JSON to orjson."""
        return orjson.Fragment(12)  # type: ignore[return-value,arg-type]

    @strawberry.field
    def refused(self) -> int | None:
        """What a person can mend."""
        raise Refused([UserError(ErrorCode.CAPTION_TOO_LONG, "Too long.", "caption")])

    @strawberry.field
    def breaker_open(self) -> int | None:
        """What passes by itself."""
        raise CircuitOpen("The platform rests.", retry_after=12.3)

    @strawberry.field
    def private(self, info: Info) -> str | None:
        """For those who are known."""
        if info.context.viewer is None:
            raise Unauthenticated("Say who you are.")
        return "yours"


@strawberry.type
class Mutation:
    """Everything that can be changed."""

    @strawberry.mutation
    async def write(self, info: Info, note: str, seconds: float = 0) -> str | None:
        """Writes one row, slowly."""
        async with info.context.database.begin() as connection:
            await connection.execute(text("INSERT INTO notes (note) VALUES (:note)"), {"note": note})
            await connection.execute(text("SELECT pg_sleep(:s)"), {"s": seconds})
        return note

    @strawberry.mutation
    async def nap(self) -> str | None:
        """Takes all the time there is."""
        await asyncio.sleep(60)
        return "rested"

    @strawberry.mutation
    async def remember(self, info: Info, word: str) -> str | None:
        """Leaves a trace at its very beginning."""
        info.context.extras["word"] = word
        await asyncio.sleep(0)
        return word


@strawberry.type
class Subscription:
    """Everything that can be watched."""

    @strawberry.subscription
    async def count(self, info: Info, to: int = 3, pause: float = 0) -> AsyncIterator[Item | None]:
        """Counts."""
        for number in range(to):
            await asyncio.sleep(pause)
            yield Item(number=number)

    @strawberry.subscription
    async def forever(self) -> AsyncIterator[int]:
        """One event, and then nothing."""
        yield 0
        await asyncio.Event().wait()

    @strawberry.subscription
    async def stream_fails(self) -> AsyncIterator[int]:
        """Breaks in the middle."""
        yield 0
        _blow()

    @strawberry.subscription
    async def fails_at_once(self) -> AsyncIterator[int]:
        """Breaks before it begins."""
        _blow()
        yield 0


class Exploding(SchemaExtension):
    """Fails in the hook that the operation's name says."""

    def _at(self, hook: str) -> None:
        if f"explode_{hook}" in (self.execution_context.query or ""):
            raise RuntimeError(SECRET)

    def on_operation(self) -> Any:
        """Around everything."""
        self._at("before_operation")
        yield
        self._at("after_operation")

    def on_parse(self) -> Any:
        """Around parsing."""
        self._at("parse")
        yield

    def on_validate(self) -> Any:
        """Around validation."""
        self._at("validate")
        yield

    def on_execute(self) -> Any:
        """Around execution."""
        self._at("execute")
        yield

    def get_results(self) -> dict[str, Any]:
        """At the end."""
        self._at("results")
        return {}


def small_schema(
    *,
    limits: DocumentLimits | None = None,
    time_limit: timedelta | TimeLimits = timedelta(seconds=5),
    is_open: bool = True,
    most_subscriptions: int = 3,
    budget: Budget | None = None,
    texts: Texts | None = None,
    trusted: TrustedDocuments | None = None,
) -> QuietSchema:
    """The schema with all of Crier's extensions, and one that explodes."""
    scalars = {
        Fragile: strawberry.scalar(name="Fragile", serialize=_blow, parse_value=_blow),
        Picky: strawberry.scalar(name="Picky", serialize=str, parse_value=_parse_picky),
    }
    extensions = list_extensions(
        documents=DocumentCache(limits=limits or DocumentLimits(), is_open=is_open),
        times=TimeLimits.same(time_limit) if isinstance(time_limit, timedelta) else time_limit,
        subscriptions=SubscriptionCounts(most=most_subscriptions),
        budget=budget,
        texts=texts,
        trusted=trusted,
    )
    return QuietSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        extensions=[*extensions, Exploding],
        execution_context_class=TimedExecutor,
        config=StrawberryConfig(scalar_map=scalars, disable_field_suggestions=not is_open),
    )


@dataclass
class SmallEdge:
    """The application, and what a test may want to reach into."""

    app: Starlette
    streams: OpenStreams
    authenticator: Authenticator
    contexts: list[SmallContext]
    metrics: Metrics


def small_edge(
    database: Database,
    *,
    options: EdgeOptions | None = None,
    schema: QuietSchema | None = None,
    authenticator: Authenticator | None = None,
) -> SmallEdge:
    """The real view, routes and middleware around the small schema."""
    options = options or EdgeOptions()
    contexts: list[SmallContext] = []

    def new_context(**given: Any) -> SmallContext:
        contexts.append(SmallContext(database=database, **given))
        return contexts[-1]

    def utc_now() -> datetime:
        return datetime.now(UTC)

    streams = OpenStreams()
    authenticator = authenticator or Authenticator(database=database, jwts=None, now=utc_now)
    metrics = Metrics(version="test")
    view = GraphQLView(
        schema=schema or small_schema(),
        authenticator=authenticator,
        new_context=new_context,
        streams=streams,
        options=options,
        now=utc_now,
        meter=metrics.requests,
    )

    async def rest(request: Request, act: str) -> Response:
        if act == "fails":
            _blow()
        if act == "refuses":
            raise BadRequest("Not like this.", status=422)
        if act == "sleeps":
            await asyncio.sleep(60)
        if act == "streams":
            async with database.connect() as connection:
                await connection.execute(text("SELECT pg_sleep(60)"))
        return JSONResponse({"act": act})

    acts = [Route(f"/{act}", partial(rest, act=act)) for act in ("works", "fails", "refuses", "sleeps", "streams")]
    app = assemble([Route("/graphql", view), WebSocketRoute("/graphql", view), *acts], options, metrics.requests)
    return SmallEdge(app, streams, authenticator, contexts, metrics)
