"""Publications as traces: one for each time that a worker takes a target, linked to the request that scheduled it."""

from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.tracing.spans import child, fail
from services.domain.breakers import Judge
from services.domain.errors import CircuitOpen
from services.domain.publishing import Delivery, Finding, StepOutcome
from services.publishing.endings import Ending
from services.publishing.publisher import Publisher
from services.publishing.runs import Run
from services.queries.claims import Claim

_PROPAGATOR = TraceContextTextMapPropagator()


class TracedPublisher(Publisher):
    """Shows each step towards the platform, what it came to, and how the target was let go."""

    def __init__(self, *, tracer: Tracer, **options: Any) -> None:
        super().__init__(**options)
        self._tracer = tracer

    async def publish(self, claim: Claim) -> None:
        """A trace of its own: the request that scheduled the post ended long ago."""
        attributes: dict[str, str | int] = {
            "crier.platform": claim.platform.value,
            "crier.target": str(claim.target_id),
            "crier.attempt": claim.attempt,
        }
        with self._tracer.start_as_current_span(
            f"publish {claim.platform.value}",
            context=Context(),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=_links(claim.trace_context),
            record_exception=False,
        ):
            await super().publish(claim)

    async def _call(
        self, run: Run, call: Callable[[Delivery], Awaitable[StepOutcome | Finding]], judge: Judge
    ) -> StepOutcome | Finding | CircuitOpen:
        name = f"{run.claim.platform.value} {run.step.name}"
        with child(self._tracer, name, {"crier.step": run.step.name}) as span:
            outcome = await super()._call(run, call, judge)
            if span is not None:
                span.set_attribute("crier.outcome", type(outcome).__name__)
            return outcome

    async def _let_go(self, run: Run, ending: Ending) -> None:
        span = trace.get_current_span()
        if ending.outcome is not None:
            span.set_attribute("crier.outcome", ending.outcome.value)
        if ending.code is not None:
            fail(span, ending.code.value)
        await super()._let_go(run, ending)


def _links(traceparent: str | None) -> list[Link]:
    if traceparent is None:
        return []
    scheduled = trace.get_current_span(_PROPAGATOR.extract({"traceparent": traceparent})).get_span_context()
    return [Link(scheduled, {"crier.link": "scheduled by"})] if scheduled.is_valid else []
