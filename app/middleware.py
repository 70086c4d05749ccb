"""What surrounds every request: an id and a log line, safe headers, one shape for errors, and an end in time."""

import asyncio
import re
import time
from collections.abc import Iterable
from datetime import timedelta
from http import HTTPStatus
from secrets import token_hex
from typing import Any

import structlog
from secure import (
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    CrossOriginResourcePolicy,
    PermissionsPolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
    XFrameOptions,
)
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.faults import BadRequest, fault_response
from app.noting import Meter
from app.operations import read_time_asked
from schema.extensions.error_codes import code_error
from services.backends.deadline import deadline_in
from services.domain.errors import CrierError, Forbidden, NotFound, TimedOut

_log = structlog.get_logger(__name__)

CORRELATION_HEADER = "X-Correlation-Id"
_RAW_CORRELATION = CORRELATION_HEADER.lower().encode()
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class RequestLog:
    """Gives every request an id, the client's where that is sane, and logs and counts it once when it has ended."""

    def __init__(self, app: ASGIApp, *, meter: Meter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, then log."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(CORRELATION_HEADER, "")
        correlation_id = given if _SANE_ID.fullmatch(given) else token_hex(16)
        noted: dict[str, Any] = {}
        scope["state"] = {**scope.get("state", {}), "correlation_id": correlation_id, "noted": noted}
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
                message["headers"] = [*message.get("headers", ()), (_RAW_CORRELATION, correlation_id.encode())]
                noted["status"] = int(message.get("status", 101))
            await send(message)

        began = time.perf_counter()
        self._meter.in_progress += 1
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - began
            self._meter.in_progress -= 1
            if scope["type"] == "http":
                self._meter.note_http(scope["path"], noted, seconds)
            _log.info(
                "request" if scope["type"] == "http" else "socket closed",
                method=scope.get("method", "GET"),
                path=scope["path"],
                ms=round(1000 * seconds, 2),
                **noted,
            )


class SafeHeaders:
    """Adds the headers that keep browsers careful; a page that needs more of its policy says so itself."""

    def __init__(self, app: ASGIApp, *, is_production: bool) -> None:
        self._app = app
        headers = safe_headers(is_production=is_production)
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve with the headers added."""

        async def send_safely(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                own = list(message.get("headers", ()))
                said = {name for name, _ in own}
                message["headers"] = own + [header for header in self._headers if header[0] not in said]
            await send(message)

        await self._app(scope, receive, send_safely)


def safe_headers(*, is_production: bool) -> dict[str, str]:
    """What every answer carries; in production, where TLS is, browsers are told to insist on it."""
    nothing = ContentSecurityPolicy().default_src("'none'").frame_ancestors("'none'").base_uri("'none'")
    return dict(
        Secure(
            csp=nothing.form_action("'none'"),
            coop=CrossOriginOpenerPolicy().same_origin(),
            corp=CrossOriginResourcePolicy().same_origin(),
            hsts=StrictTransportSecurity().max_age(31_536_000).include_subdomains() if is_production else None,
            permissions=PermissionsPolicy().geolocation().camera().microphone(),
            referrer=ReferrerPolicy().no_referrer(),
            xcto=XContentTypeOptions().nosniff(),
            xfo=XFrameOptions().deny(),
        ).headers
    )


class Origins(CORSMiddleware):
    """Which other origins' pages may ask; a preflight that is refused is answered as every refusal is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; where no other origin may ask, only a preflight is anything to answer."""
        if self.allow_origins or scope.get("method") == "OPTIONS":
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Yes, or no with a code."""
        response = super().preflight_response(request_headers)
        if response.status_code == HTTPStatus.OK:
            return response
        refusal = BadRequest(bytes(response.body).decode(), headers={"Vary": response.headers.get("vary", "Origin")})
        correlation_id = structlog.contextvars.get_contextvars()["correlation_id"]
        return fault_response(refusal, correlation_id=correlation_id)


class Handshakes:
    """A socket that is not let in is refused as a request is: with a body that says why."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or refuse."""
        if scope["type"] != "websocket" or "websocket.http.response" not in scope.get("extensions", {}):
            await self._app(scope, receive, send)
            return
        is_accepted = False

        async def send_or_refuse(message: Message) -> None:
            nonlocal is_accepted
            is_accepted = is_accepted or message["type"] == "websocket.accept"
            if message["type"] != "websocket.close" or is_accepted:
                await send(message)
                return
            refusal = Forbidden("No socket is opened here, or not for this origin.")
            await fault_response(refusal, correlation_id=scope["state"]["correlation_id"])(scope, receive, send)

        await self._app(scope, receive, send_or_refuse)


class Surprises:
    """Answers what nobody foresaw with INTERNAL, and logs it once; the server never sees it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or say that it is our fault."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            correlation_id = scope["state"]["correlation_id"]
            coded = code_error(error, correlation_id)
            if "status" in scope["state"]["noted"]:
                raise _Broken from None  # half an answer is out: only a broken connection can say so
            fault = error if isinstance(error, CrierError) else CrierError(coded.message)
            scope["state"]["noted"]["codes"] = [fault.code.value]
            await fault_response(fault, correlation_id=correlation_id)(scope, receive, send)


class _Broken(Exception):
    """The answer broke off; why is in the log already."""


class TimeLimit:
    """Ends handlers that take longer than `limit`, or than the client asked for.

    GraphQL has its own limits, by kind of operation; what moves files takes as long as the files.
    """

    def __init__(self, app: ASGIApp, *, limit: timedelta, exempt: Iterable[str]) -> None:
        self._app = app
        self._limit = limit
        self._exempt = tuple(exempt)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve in time."""
        if scope["type"] != "http" or scope["path"].startswith(self._exempt):
            await self._app(scope, receive, send)
            return
        asked = read_time_asked(Headers(scope=scope).get("X-Request-Timeout"))
        limit = min(self._limit, asked or self._limit)
        try:
            with deadline_in(limit):
                async with asyncio.timeout(limit.total_seconds()) as timer:
                    await self._app(scope, receive, send)
        except TimeoutError:
            if not timer.expired():
                raise
            raise TimedOut("The request's time is over.") from None


def answer_fault(request: Request, error: Exception) -> Response:
    """The answer to an error that a handler raised on purpose."""
    assert isinstance(error, CrierError)  # noqa: S101 — registered for this class alone
    return _refuse(request, error)


def answer_http_error(request: Request, error: Exception) -> Response:
    """The answer to what Starlette itself refuses: an unknown path, a method that a path does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101 — registered for this class alone
    fault: CrierError = BadRequest(error.detail, status=error.status_code, headers=error.headers)
    if error.status_code == 404:
        fault = NotFound("There is nothing at this address.")
    return _refuse(request, fault)


def _refuse(request: Request, fault: CrierError) -> Response:
    request.state.noted["codes"] = [fault.code.value]
    return fault_response(fault, correlation_id=request.state.correlation_id)
