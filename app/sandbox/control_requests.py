"""Orders to the control API: JSON that fits, or a plain 4xx that says what does not."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Order = TypeVar("Order", bound=BaseModel)


class ControlRefused(Exception):
    """An order that cannot be followed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_order(request: Request, kind: type[Order]) -> Order:
    """The request's JSON body as an order; no body is an empty order. Raises ControlRefused."""
    try:
        return kind.model_validate(await read_object(request))
    except ValidationError as problem:
        raise ControlRefused(422, str(problem)) from problem


async def read_object(request: Request) -> dict[str, object]:
    """The request's JSON object; no body is an empty one."""
    body = await request.body()
    try:
        content = json.loads(body) if body else {}
    except ValueError as problem:
        raise ControlRefused(400, f"not JSON: {problem}") from problem
    if not isinstance(content, dict):
        raise ControlRefused(400, f"expected a JSON object, got {type(content).__name__}")
    return content


async def answer_refused(request: Request, refusal: Exception) -> Response:
    """A refusal as JSON; Starlette's exception handler for ControlRefused."""
    del request
    status = refusal.status if isinstance(refusal, ControlRefused) else 500
    return JSONResponse({"error": str(refusal)}, status)
