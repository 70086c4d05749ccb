"""Instagram and Facebook as fast as they can be answered: `python -m benchmarks.fast_platform PORT`. Checks nothing."""

import itertools
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import uvicorn

_numbers = itertools.count(10_000)
_HEADERS = [(b"content-type", b"application/json")]


def answer(method: str, path: str, query: bytes) -> dict[str, Any]:
    """What the real platform would say to a text or an image post that goes well."""
    edge = path.rpartition("/")[2]
    if method == "POST":
        if edge in ("media", "media_publish"):
            return {"id": str(next(_numbers))}
        if edge == "feed":
            number = next(_numbers)
            return {"id": f"1_{number}", "permalink_url": f"https://www.facebook.com/{number}"}
        return {"success": True}
    if b"status_code" in query:
        return {"id": edge, "status_code": "FINISHED"}
    return {"id": edge, "permalink": f"https://www.instagram.com/p/{edge}/", "data": [{"quota_usage": 0}]}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Bare ASGI."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    body = orjson.dumps(answer(scope["method"], scope["path"], scope["query_string"]))
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, length]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", log_level="warning", access_log=False)  # type: ignore[arg-type]
