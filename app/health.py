"""Health over HTTP, for load balancers, orchestrators and people.

`/api/v1/health` is liveness: it asks nobody. `/api/v1/health/detailed` looks at everything. Both answer 503 only where
this process is unfit, so that a backlog takes nothing out of service.
"""

from collections.abc import Sequence

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.domain.health import HealthReport, HealthStatus
from services.health import HealthService


def health_routes(health: HealthService) -> Sequence[BaseRoute]:
    """Both endpoints; workers serve them too."""

    async def live(request: Request) -> Response:
        """Whether this process runs and is not on its way out."""
        status = HealthStatus.UNFIT if health.is_stopping else HealthStatus.OK
        return _answer({"status": status.value, "version": health.version}, status)

    async def detailed(request: Request) -> Response:
        """The whole report."""
        report = await health.check()
        return _answer(_describe(report), report.status)

    return [
        Route("/api/v1/health", live, methods=["GET"]),
        Route("/api/v1/health/detailed", detailed, methods=["GET"]),
    ]


def _describe(report: HealthReport) -> dict[str, object]:
    return {
        "status": report.status.value,
        "version": report.version,
        "checks": [
            {
                "name": check.name,
                "status": check.status.value,
                "latencyMs": check.latency_ms,
                "detail": check.detail,
            }
            for check in report.checks
        ],
    }


def _answer(body: dict[str, object], status: HealthStatus) -> Response:
    return Response(
        orjson.dumps(body),
        503 if status is HealthStatus.UNFIT else 200,
        {"Cache-Control": "no-store"},
        media_type="application/json",
    )
