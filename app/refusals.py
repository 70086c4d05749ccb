"""What is said to a client whose request never reached the application."""

from uuid import uuid4

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.faults import BadRequest, fault_response
from app.middleware import CORRELATION_HEADER, safe_headers


def refusal_response(refusal: BadRequest, *, is_production: bool) -> Response:
    """The answer to what never reached the application."""
    correlation_id = uuid4().hex
    response = fault_response(refusal, correlation_id=correlation_id)
    response.headers.update(safe_headers(is_production=is_production))
    response.headers[CORRELATION_HEADER] = correlation_id
    return response


def refusal_bytes(refusal: BadRequest, *, is_production: bool) -> bytes:
    """The same, whole, as the last words on a connection."""
    response = refusal_response(refusal, is_production=is_production)
    lines = [b"%b: %b\r\n" % header for header in response.raw_headers]
    return b"".join([STATUS_LINE[refusal.status], *lines, b"connection: close\r\n\r\n", bytes(response.body)])
