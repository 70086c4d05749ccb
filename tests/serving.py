"""Real HTTP for an ASGI application, in the test's own event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from app.protocols import HEAD_PATIENCE, careful_config
from app.stalling import STALL_PATIENCE

Serve = Callable[[ASGIApp], Awaitable[str]]


@asynccontextmanager
async def served(app: ASGIApp, *, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[str]:
    """The application's origin on a free port, as long as the block runs."""
    listener = socket.create_server((host, 0))
    patience = options.pop("head_patience", HEAD_PATIENCE), options.pop("stall_patience", STALL_PATIENCE)
    config = careful_config(app, lifespan="off", timeout_graceful_shutdown=2, **options)
    config.head_patience, config.stall_patience = patience
    config.first_word = config.last_word = 0  # the clients here are gone by then
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment] # Ctrl-C is for pytest
    task = asyncio.create_task(server.serve([listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.01)
            if task.done():
                task.result()
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
