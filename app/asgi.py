"""The application: its routes and its middleware, as two lists to read from top to bottom."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import strawberry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ExceptionHandler

from app.auth import Authenticator
from app.graphiql import ENDPOINT, GraphiQL, wants_page
from app.graphql import GraphQLView
from app.health import health_routes
from app.leaving import CutShort, RunningRequests
from app.middleware import (
    CORRELATION_HEADER,
    Handshakes,
    Origins,
    RequestLog,
    SafeHeaders,
    Surprises,
    TimeLimit,
    answer_fault,
    answer_http_error,
)
from app.noting import Meter
from app.oauth import oauth_routes
from app.options import EdgeOptions
from app.parts import PLAIN, Parts
from app.streams import OpenStreams
from resolvers.context import Context, Services
from services.domain.errors import CrierError

_OWN_LIMITS = (ENDPOINT, "/media")
"""Paths whose handlers bound their time themselves."""
_CLIENT_HEADERS = (
    "authorization",
    "content-type",
    "idempotency-key",
    "x-crier-client",
    "x-crier-plan",
    "x-request-timeout",
)
"""What pages of other origins may send, where any are let in."""


def create_app(
    *,
    services: Services,
    schema: strawberry.Schema,
    authenticator: Authenticator,
    streams: OpenStreams,
    options: EdgeOptions,
    now: Callable[[], datetime],
    meter: Meter,
    running: RunningRequests | None = None,
    graphiql: GraphiQL | None = None,
    parts: Parts = PLAIN,
    more_routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """Everything that is served over HTTP. Without `graphiql` a browser gets no page; `running` may be cut short."""
    view = GraphQLView(
        schema=schema,
        authenticator=authenticator,
        new_context=partial(Context, services=services),
        streams=streams,
        options=options,
        now=now,
        meter=meter,
        page=None if graphiql is None else partial(_answer_browser, graphiql),
        sockets=parts.sockets,
    )
    return assemble(
        [
            *(graphiql.routes() if graphiql is not None else ()),
            Route(ENDPOINT, view),
            WebSocketRoute(ENDPOINT, view),
            *health_routes(services.health),
            *oauth_routes(services.accounts),
            *more_routes,
        ],
        options,
        meter,
        parts.middleware,
        running,
    )


def assemble(
    routes: Sequence[BaseRoute],
    options: EdgeOptions,
    meter: Meter,
    more_middleware: Sequence[Middleware] = (),
    running: RunningRequests | None = None,
) -> Starlette:
    """Routes behind the middleware, with every refusal answered as GraphQL JSON."""
    middleware = list_middleware(options, meter, more_middleware, running or RunningRequests())
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=list_handlers())
    app.router.redirect_slashes = False  # an address is right or it is not: a redirect would answer without a code
    return app


def list_middleware(
    options: EdgeOptions, meter: Meter, more: Sequence[Middleware], running: RunningRequests
) -> list[Middleware]:
    """The first sees a request first and its answer last."""
    return [
        Middleware(RequestLog, meter=meter),
        *more,
        Middleware(SafeHeaders, is_production=options.is_production),
        Middleware(
            Origins,
            allow_origins=options.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=_CLIENT_HEADERS,
            expose_headers=[CORRELATION_HEADER, "Retry-After", "RateLimit", "RateLimit-Policy"],
        ),
        Middleware(Handshakes),
        Middleware(Surprises),
        Middleware(CutShort, running=running),
        Middleware(TimeLimit, limit=options.request_timeout, exempt=_OWN_LIMITS),
    ]


def list_handlers() -> dict[type[Exception], ExceptionHandler]:
    """How what handlers raise is answered: as GraphQL JSON with a code."""
    return {CrierError: answer_fault, HTTPException: answer_http_error}


def _answer_browser(graphiql: GraphiQL, request: Request) -> Response | None:
    is_question = "query" in request.query_params
    return graphiql.page(request) if wants_page(request) and not is_question else None
