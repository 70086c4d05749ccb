"""How a refusal looks over HTTP: GraphQL's shape, whatever was asked, and the status that says the same."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from starlette.responses import Response

from schema.extensions.error_codes import describe_error
from services.domain.errors import CrierError, ErrorCode

JSON = "application/json"

_STATUS: dict[ErrorCode, HTTPStatus] = {
    ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.CONFLICT: HTTPStatus.CONFLICT,
    ErrorCode.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorCode.OVERLOADED: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.CIRCUIT_OPEN: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class BadRequest(CrierError):
    """A request that is malformed as HTTP, before anybody looked at what it asks."""

    code = ErrorCode.BAD_REQUEST

    def __init__(
        self, message: str, *, status: int = HTTPStatus.BAD_REQUEST, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def status_of(code: str) -> int:
    """The HTTP status of a code; 400 for whatever the client has to mend."""
    return _STATUS.get(ErrorCode(code), HTTPStatus.BAD_REQUEST)


def fault_response(error: CrierError, *, correlation_id: str, media_type: str = JSON) -> Response:
    """The answer to a request that is refused as a whole."""
    described = describe_error(error, correlation_id)
    headers: dict[str, str] = {"Cache-Control": "no-store"}
    status = status_of(error.code)
    if isinstance(error, BadRequest):
        status = error.status
        headers |= error.headers
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if "retryAfter" in described["extensions"]:
        headers["Retry-After"] = str(described["extensions"]["retryAfter"])
    return Response(orjson.dumps({"errors": [described]}), status, headers, media_type=f"{media_type}; charset=utf-8")
