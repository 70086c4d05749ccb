"""The middleware that begins a request's trace, or goes on with the client's, and names it by what was asked."""

from typing import Any

import structlog
from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.metrics.operations import OUR_FAULT, route_of
from app.tracing.spans import fail, traceparent_of
from services.backends.traces import traced_as

_PROPAGATOR = TraceContextTextMapPropagator()
_UNTRACED = ("/metrics", "/api/v1/health")
"""Asked for every few seconds by machines."""


class TracedRequests:
    """One span per request; for a socket, one from its opening to its end, and its operations are within."""

    def __init__(self, app: ASGIApp, *, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve within a span; the log's lines name its trace."""
        if scope["type"] not in ("http", "websocket") or scope["path"].startswith(_UNTRACED):
            await self._app(scope, receive, send)
            return
        method = scope.get("method", "WEBSOCKET")
        route = route_of(scope["path"])
        state = scope["state"]
        with self._tracer.start_as_current_span(
            f"{method} {route}",
            context=_PROPAGATOR.extract(Headers(scope=scope)),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": method,
                "http.route": route,
                "crier.correlation": state["correlation_id"],
            },
            record_exception=False,
        ) as span:
            structlog.contextvars.bind_contextvars(trace_id=f"{span.get_span_context().trace_id:032x}")
            with traced_as(traceparent_of(span)):
                try:
                    await self._app(scope, receive, send)
                finally:
                    conclude(span, state["noted"])


def conclude(span: Span, noted: dict[str, Any]) -> None:
    """What the request came to, from what was noted for its log line."""
    if "status" in noted:
        span.set_attribute("http.response.status_code", noted["status"])
    if "kind" in noted:
        span.update_name(f"{noted['kind']} {noted['field']}")
        span.set_attribute("graphql.operation.type", noted["kind"])
    if noted.get("operation"):
        span.set_attribute("graphql.operation.name", noted["operation"])
    codes = noted.get("codes") or ()
    if codes:
        span.set_attribute("crier.codes", list(codes))
    failures = OUR_FAULT.intersection(codes)
    if failures:
        fail(span, sorted(failures)[0])
