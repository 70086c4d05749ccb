"""A media host: videos of known sizes, with and without `Range`."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

KIB = 1024
SIZES = {"short.mp4": 100 * KIB, "long.mp4": 1300 * KIB + 17}


def video_bytes(size: int) -> bytes:
    """Bytes that begin like an MP4 and differ from place to place."""
    head = b"\x00\x00\x00\x18ftypisom"
    return (head + b"".join(number.to_bytes(4, "big") for number in range(size // 4)))[:size]


def _range_of(request: Request, size: int) -> tuple[int, int] | None:
    unit, _, wanted = request.headers.get("range", "").partition("=")
    first, _, last = wanted.partition("-")
    return (int(first), min(int(last), size - 1)) if unit == "bytes" else None


async def _serve(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in SIZES:
        return PlainTextResponse("gone", 404)
    content = video_bytes(SIZES[name])
    wanted = _range_of(request, len(content))
    if wanted is None or "whole" in request.query_params:
        return Response(content, media_type="video/mp4")
    begin, end = wanted
    headers = {"Content-Range": f"bytes {begin}-{end}/{len(content)}"}
    return Response(content[begin : end + 1], 206, media_type="video/mp4", headers=headers)


media_host = Starlette(routes=[Route("/{name}", _serve)])
