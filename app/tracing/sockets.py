"""Operations of a socket as spans: the socket's own ends when the client goes, perhaps tomorrow."""

from typing import Any

from opentelemetry.trace import SpanKind, Tracer
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import Operation

from app.sockets import SocketHandler, SocketSession
from app.tracing.requests import conclude
from app.tracing.spans import traceparent_of
from services.backends.traces import traced_as


def traced_sockets(tracer: Tracer) -> type[SocketHandler]:
    """A class of handlers: Strawberry makes one for each socket."""

    class TracedSockets(SocketHandler):
        """Each operation is a span of its own, and posts that it schedules are linked to it."""

        async def _answer(
            self, operation: Operation[SocketSession, None], correlation_id: str, noted: dict[str, Any]
        ) -> None:
            attributes = {"crier.correlation": correlation_id}
            with (
                tracer.start_as_current_span(
                    "operation", kind=SpanKind.SERVER, attributes=attributes, record_exception=False
                ) as span,
                traced_as(traceparent_of(span)),
            ):
                try:
                    await super()._answer(operation, correlation_id, noted)
                finally:
                    conclude(span, noted)

    return TracedSockets
