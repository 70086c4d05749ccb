"""One span around something that may fail."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, get_current_span


def is_traced() -> bool:
    """Whether what runs now belongs to a trace: a worker's look at the queue, twice a second, is none by itself."""
    return get_current_span().get_span_context().is_valid


@contextmanager
def child(tracer: Tracer, name: str, attributes: Mapping[str, str | int]) -> Iterator[Span | None]:
    """A span of something we ask of another program; none where nothing is traced. Of a failure the kind is told, never
    its words, which may hold what people wrote."""
    if not is_traced():
        yield None
        return
    with tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            fail(span, type(error).__name__)
            raise


def fail(span: Span, kind: str) -> None:
    """Mark a span as failed."""
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def traceparent_of(span: Span) -> str:
    """The line by which a span is found again."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
