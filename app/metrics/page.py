"""`/metrics`, where Prometheus reads what was counted."""

import hmac
from collections.abc import Sequence

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.metrics.counting import Metrics
from app.metrics.standing import Standing
from services.domain.errors import Unauthenticated


def metrics_routes(metrics: Metrics, standing: Standing, *, token: str | None) -> Sequence[BaseRoute]:
    """`/metrics`; with a token it wants `Authorization: Bearer <token>`."""

    async def show(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token is not None and not hmac.compare_digest(given.encode(), token.encode()):
            raise Unauthenticated("The metrics want their own token.")
        await standing.look()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/metrics", show, methods=["GET"])]
