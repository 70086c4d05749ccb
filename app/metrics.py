"""What is counted, and `/metrics`, where Prometheus reads it."""

import hmac
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.domain.breakers import Transition
from services.domain.errors import Unauthenticated
from services.domain.health import PoolUsage


class Metrics:
    """One registry per process; labels come from closed lists only."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._unguarded = Counter(
            "crier_api_budget_unguarded",
            "Operations that no budget held back, Redis being away.",
            registry=self.registry,
        )
        self._transitions = Counter(
            "crier_breaker_transitions",
            "Breaker changes this process brought about.",
            ["breaker", "to"],
            registry=self.registry,
        )

    def note_unguarded(self) -> None:
        """An operation ran without its budget being looked at."""
        self._unguarded.inc()

    def note_transition(self, breaker: str, change: Transition) -> None:
        """A breaker moved."""
        self._transitions.labels(breaker, change.to_state.value).inc()

    def watch_pool(self, usage: Callable[[], PoolUsage]) -> None:
        """Show the database pool, read whenever somebody looks."""
        for name, read in (
            ("in_use", lambda: usage().in_use),
            ("idle", lambda: usage().idle),
            ("waiting", lambda: usage().waiting),
            ("maximum", lambda: usage().maximum),
        ):
            gauge = Gauge(f"crier_pool_{name}", f"Database pool: {name.replace('_', ' ')}.", registry=self.registry)
            gauge.set_function(read)


def metrics_routes(metrics: Metrics, *, token: str | None) -> Sequence[BaseRoute]:
    """`/metrics`; with a token it wants `Authorization: Bearer <token>`."""

    async def show(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token is not None and not hmac.compare_digest(given.encode(), token.encode()):
            raise Unauthenticated("The metrics want their own token.")
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/metrics", show, methods=["GET"])]
