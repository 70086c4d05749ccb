"""The TCP connection under a request. ASGI has no word for cutting it, so here, and only here, we look into uvicorn.

uvicorn hands the application `receive`, a method bound to the request's cycle, which holds the transport; Starlette
passes it on untouched.
"""

from starlette.types import Receive


async def read_body(receive: Receive, *, limit: int) -> tuple[bytes, bool]:
    """The request's body, and whether it is whole: False where the client vanished before its last byte.

    Raises ValueError where more than `limit` bytes come.
    """
    content = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(content), False
        content += message.get("body", b"")
        if len(content) > limit:
            raise ValueError(f"a body of more than {limit} bytes")
        if not message.get("more_body", False):
            return bytes(content), True


async def cut(receive: Receive) -> None:
    """Close the client's connection without another byte, and wait until it is closed."""
    cycle = getattr(receive, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        raise RuntimeError(f"the sandbox can only cut connections under uvicorn, not under {type(cycle).__name__}")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
