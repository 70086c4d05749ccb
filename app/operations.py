"""Reads the one GraphQL operation that an HTTP request carries, and refuses what is not well formed.

No request that a browser sends without asking first (a form, an image, a plain link) runs anything: a POST has to be
JSON, and a GET has to carry a header that no plain page can set.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from app.faults import BadRequest

_PROOFS_OF_PREFLIGHT = ("authorization", "x-crier-client", "apollo-require-preflight", "x-apollo-operation-name")
_LONGEST_TIME = 86_400_000  # ms
_PARTS_FROM = 100_000  # bytes
_MOST_PARTS = 20_000


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """What a client asks to be run; shared by all transports."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None
    extensions: dict[str, Any] | None


async def read_request(request: Request, *, most_bytes: int, patience: timedelta) -> OperationRequest:
    """The operation in a GET's query string or a POST's body, which may take `patience` to arrive.

    Raises BadRequest, with the status that fits.
    """
    if request.method == "GET":
        return _read_query_string(request)
    if request.method != "POST":
        raise BadRequest("GraphQL is asked by GET or POST.", status=405, headers={"Allow": "GET, POST"})
    _check_content_type(request.headers.get("content-type"))
    _check_coding(request.headers.get("content-encoding"))
    body = await _read_body(request, most_bytes, patience)
    return read_operation(_load("The body", body))


def read_operation(asked: object) -> OperationRequest:
    """The operation that a decoded JSON value describes. Raises BadRequest naming what is wrong."""
    if isinstance(asked, list):
        raise BadRequest("Batches are not supported: send one operation at a time.")
    if not isinstance(asked, dict):
        raise BadRequest("A GraphQL request is a JSON object.")
    query = asked.get("query")
    if query is None and _is_reference(asked.get("extensions")):
        query = ""  # the document is named by its hash
    elif not isinstance(query, str):
        raise BadRequest("`query` must be a string: the GraphQL document.")
    elif not query.strip():
        raise BadRequest("`query` is empty.")
    for name, kind, said in (
        ("variables", dict, "an object"),
        ("operationName", str, "a string"),
        ("extensions", dict, "an object"),
    ):
        if not isinstance(asked.get(name), (kind, type(None))):
            raise BadRequest(f"`{name}` must be {said}, null or left out.")
    return OperationRequest(query, asked.get("variables"), asked.get("operationName") or None, asked.get("extensions"))


def _is_reference(extensions: object) -> bool:
    return isinstance(extensions, dict) and extensions.get("persistedQuery") is not None


def read_time_asked(header: str | None) -> timedelta | None:
    """`X-Request-Timeout`, in milliseconds; None where it is not given. Raises BadRequest."""
    if header is None:
        return None
    if not (header.isascii() and header.isdigit() and 0 < int(header[:10]) <= _LONGEST_TIME):
        raise BadRequest("`X-Request-Timeout` is a number of milliseconds, at least 1.")
    return timedelta(milliseconds=int(header[:10]))


def _read_query_string(request: Request) -> OperationRequest:
    headers = request.headers
    is_proven = any(name in headers for name in _PROOFS_OF_PREFLIGHT)
    if not is_proven and _media_type(headers.get("content-type")) != "application/json":
        raise BadRequest(
            "A GET runs nothing without a header that a plain web page cannot send, such as `Authorization` or "
            "`X-Crier-Client: <name>`."
        )
    given: Mapping[str, str] = request.query_params
    asked: dict[str, Any] = {name: given[name] for name in ("query", "operationName") if name in given}
    for name in ("variables", "extensions"):
        if given.get(name):
            asked[name] = _load(f"`{name}`", given[name].encode())
    return read_operation(asked)


def _check_content_type(header: str | None) -> None:
    parameters = (part.partition("=") for part in (header or "").lower().split(";")[1:])
    charsets = {value.strip(' "') for name, _, value in parameters if name.strip() == "charset"}
    if _media_type(header) != "application/json" or not charsets <= {"utf-8", "utf8"}:
        raise BadRequest(
            "The body must be `Content-Type: application/json` in UTF-8.",
            status=415,
            headers={"Accept-Post": "application/json"},
        )


def _check_coding(header: str | None) -> None:
    if (header or "identity").strip().lower() != "identity":
        raise BadRequest(
            "The body must come as it is, not encoded.", status=415, headers={"Accept-Encoding": "identity"}
        )


def _media_type(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


async def _read_body(request: Request, most_bytes: int, patience: timedelta) -> bytes:
    """The body, given up as soon as it is too long: the announced length first, then what really comes."""
    too_long = BadRequest(f"The body may have {most_bytes} bytes at most.", status=413, headers={"Connection": "close"})
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced[:18]) > most_bytes:
        raise too_long
    chunks: list[bytes] = []
    length = 0
    try:
        async with asyncio.timeout(patience.total_seconds()):
            async for chunk in request.stream():
                length += len(chunk)
                if length > most_bytes:
                    raise too_long
                chunks.append(chunk)
    except ClientDisconnect:
        raise BadRequest("The client went away before its request was whole.") from None
    except TimeoutError:
        raise BadRequest("The body did not arrive in time.", status=408, headers={"Connection": "close"}) from None
    return b"".join(chunks)


def has_too_many_parts(text: bytes | str) -> bool:
    """Whether JSON is large, and not by its texts: a megabyte of `{}` takes a hundred times as long as one caption.

    Commas within texts are counted too; twenty thousand would make a book.
    """
    return len(text) > _PARTS_FROM and text.count(b"," if isinstance(text, bytes) else ",") > _MOST_PARTS  # type: ignore[arg-type] # each with its own


def _load(name: str, text: bytes) -> object:
    if has_too_many_parts(text):
        raise BadRequest(f"{name} has more than {_MOST_PARTS:,} commas.", status=413)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadRequest(f"{name} is not JSON.") from None
