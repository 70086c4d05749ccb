"""What became of an operation, as bytes: one encoder for HTTP, event streams and sockets."""

from typing import Any

import orjson
from starlette.responses import Response
from strawberry.types.execution import ExecutionResult, PreExecutionError

from app.faults import status_of
from app.negotiation import GRAPHQL_JSON
from schema.extensions.api_budget import SPENDING
from schema.extensions.error_codes import failed_result
from services.domain.limits import BUDGET_SPAN, Spending

_BUDGET_SECONDS = round(BUDGET_SPAN.total_seconds())


def encode_result(result: ExecutionResult, correlation_id: str) -> bytes:
    """The result as JSON. What cannot be written as JSON is a mistake of ours, and answered as such."""
    try:
        return orjson.dumps(_describe(result))
    except TypeError as error:
        return orjson.dumps(_describe(failed_result(error, correlation_id)))


def result_response(
    result: ExecutionResult, *, media_type: str, correlation_id: str, extras: dict[str, object]
) -> Response:
    """The HTTP answer: its status says in the newer media type what the older one leaves to the body."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept"} | _budget_headers(extras.get(SPENDING))
    status = 200
    if media_type == GRAPHQL_JSON and is_request_error(result):
        first = result.errors[0].extensions if result.errors else None
        status = status_of((first or {})["code"])
        if "retryAfter" in (first or {}):
            headers["Retry-After"] = str((first or {})["retryAfter"])
    body = encode_result(result, correlation_id)
    return Response(body, status, headers, media_type=f"{media_type}; charset=utf-8")


def is_request_error(result: ExecutionResult) -> bool:
    """Whether nothing was run: the answer then has no `data` at all. Errors of fields have a path."""
    if isinstance(result, PreExecutionError):
        return True
    return result.data is None and all(error.path is None for error in result.errors or ())


def codes_of(result: ExecutionResult) -> list[str]:
    """The codes of its errors, for the log."""
    return [str((error.extensions or {}).get("code")) for error in result.errors or ()]


def _describe(result: ExecutionResult) -> dict[str, Any]:
    described: dict[str, Any] = {}
    if result.errors:
        described["errors"] = [error.formatted for error in result.errors]
    if not is_request_error(result):
        described["data"] = result.data
    if result.extensions:
        described["extensions"] = result.extensions
    return described


def _budget_headers(spending: object) -> dict[str, str]:
    """What is left of the budget, in the fields of the IETF's draft on rate limit headers."""
    if not isinstance(spending, Spending):
        return {}
    reset = max(0, round(spending.reset_after))
    return {
        "RateLimit-Policy": f'"cost";q={spending.limit};w={_BUDGET_SECONDS}',
        "RateLimit": f'"cost";r={spending.remaining};t={reset}',
    }
