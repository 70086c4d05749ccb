"""One request as an operation sees it: read to its end, its parameters in one place wherever they were sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, UploadFile
from starlette.requests import Request
from starlette.types import Message

MAX_BODY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to one route; `params` holds query, form and the top level of a JSON body, as strings."""

    route: str
    method: str
    path: str
    headers: Headers
    query: Mapping[str, str]
    params: Mapping[str, str]
    files: Mapping[str, bytes] = field(default_factory=dict)
    json: Any = None
    body: bytes = b""
    is_whole: bool = True
    """False where the client vanished before its last byte."""

    def param(self, name: str, default: str = "") -> str:
        """One parameter; absent and empty are the same."""
        return self.params.get(name) or default

    def bearer(self) -> str:
        """The token of the Authorization header, under whichever scheme, or nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() in ("bearer", "oauth") else ""


async def read_call(route: str, request: Request, body: bytes, *, is_whole: bool) -> Call:
    """Sort a request whose body has been read into a Call."""
    query = dict(parse_qsl(request.url.query, keep_blank_values=True))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form: dict[str, str] = {}
    files: dict[str, bytes] = {}
    parsed = None
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data") and is_whole:
        form, files = await _read_form(request, body)
    elif kind == "application/json":
        parsed = _read_json(body)
        form = {name: _as_text(value) for name, value in parsed.items()} if isinstance(parsed, dict) else {}
    path_params = {name: str(value) for name, value in request.path_params.items()}
    return Call(
        route=route,
        method=request.method,
        path=request.url.path,
        headers=request.headers,
        query=query,
        params={**query, **form, **path_params},
        files=files,
        json=parsed,
        body=body,
        is_whole=is_whole,
    )


async def _read_form(request: Request, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    async def replay() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    texts: dict[str, str] = {}
    files: dict[str, bytes] = {}
    async with Request(request.scope, replay).form(max_part_size=MAX_BODY_BYTES) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = await value.read()
            else:
                texts[name] = value
    return texts, files


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
