"""HTTP servers inside this process: started on a bound socket, stopped in good order, silent about signals."""

import asyncio
import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta

import uvicorn
from starlette.types import ASGIApp

from app.complaints import Complaint
from app.protocols import CarefulConfig, careful_config, is_readable


class CannotListen(Complaint):
    """Somebody else serves there, or it is no place of this machine's; the message says which setting to change."""


KEEP_ALIVE = 75
"""Seconds that a connection may be idle between requests."""
_ACCEPTS_FOR = 2.0
"""Seconds for which a shutdown waits until all who have connected are let in."""
_SO_ATTACH_FILTER = 26
_BPF_RETURN = 0x06
"""The one instruction of a packet filter that keeps nothing of any packet."""


class _Server(uvicorn.Server):
    """Leaves signals to `app.shutdown`, and lets in whom the kernel has let in before it closes the door."""

    config: CarefulConfig

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept what waits, then let uvicorn close: a connection that nobody accepts is reset, its request with it."""
        self.config.is_going = True
        for one in sockets or ():
            refuse_silently(one)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + _ACCEPTS_FOR
        while (  # noqa: ASYNC110 — nobody tells when the queue is empty
            any(is_readable(one.fileno()) for one in sockets or ()) and loop.time() < give_up_at
        ):
            await asyncio.sleep(0)
        await super().shutdown(sockets)


def bind(host: str, port: int, *, setting: str) -> socket.socket:
    """A listening socket; port 0 takes a free one. `setting` names the port. Raises CannotListen."""
    try:
        return socket.create_server((host, port), backlog=2048, family=_family(host))
    except OSError as error:
        where = f"Cannot listen on {host}:{port}"
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise CannotListen(f"{where} ({os.strerror(error.errno)}): set {setting} to another port.") from None
        raise CannotListen(f"{where}: set HOST to an address of this machine.") from None


def refuse_silently(listener: socket.socket) -> None:
    """Let the kernel take no more connections, so that none can come between the last accept and the close. Clients
    ask again after a second, and find whoever serves there then, or nobody. Where there is no such thing, nothing."""
    if sys.platform != "linux":
        return
    drop = ctypes.create_string_buffer(struct.pack("=HBBI", _BPF_RETURN, 0, 0, 0))
    program = struct.pack("@HP", 1, ctypes.addressof(drop))
    with suppress(OSError):  # a kernel that only looks like Linux
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


@asynccontextmanager
async def serving(
    app: ASGIApp, listener: socket.socket, *, grace: timedelta, is_production: bool = False
) -> AsyncIterator[None]:
    """Serve `app` while the block runs; afterwards take no more, and let what runs finish within `grace`."""
    config = careful_config(
        app,
        is_production=is_production,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(grace.total_seconds())),
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the HTTP server ended before it began")
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
