"""Where spans go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.middleware import Middleware

from app.parts import Parts
from app.settings import Settings
from app.tracing.publishing import TracedPublisher
from app.tracing.redis import TracedGate
from app.tracing.requests import TracedRequests
from app.tracing.sockets import traced_sockets
from app.tracing.statements import traced_connection
from app.versions import VERSION

FAREWELL = 5.0
"""Seconds that the last spans have to get out; a collector that is away must not hold up a shutdown."""


@asynccontextmanager
async def open_tracing(settings: Settings) -> AsyncIterator[Parts]:
    """The parts of a process that is traced, and the export of what they see.

    Sampling, headers, batches and names follow OpenTelemetry's own variables, which its SDK reads.
    """
    resource = Resource.create({SERVICE_NAME: settings.otel_service_name, SERVICE_VERSION: VERSION})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.traces_endpoint)))
    tracer = provider.get_tracer("crier", VERSION)
    try:
        yield Parts(
            connection=traced_connection(tracer),
            gate=partial(TracedGate, tracer=tracer),
            publisher=partial(TracedPublisher, tracer=tracer),
            sockets=traced_sockets(tracer),
            middleware=(Middleware(TracedRequests, tracer=tracer),),
        )
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(provider.shutdown), FAREWELL)
