"""HTTP connections as uvicorn reads them, made careful; `app.socket_protocol` has the sockets they may become.

The head of a request has to be whole in time and may not be long, whoever sends it; and what never becomes a request
is refused as everything else is: GraphQL JSON with a code, under safe headers.

A server that goes answers what has reached it: uvicorn would close every connection on which it has read no request
yet, and a request that lies unread in the kernel would be lost with it.
"""

import asyncio
import re
import select
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.faults import BadRequest
from app.joining import JoinedAnswer
from app.refusals import refusal_bytes
from app.socket_protocol import CarefulWebSocket
from app.stalling import LINGER, STALL_PATIENCE, Stall

MOST_URL_BYTES = 16_384
MOST_HEAD_BYTES = 32_768
HEAD_PATIENCE = 10.0
"""Seconds from a request's first byte, or a connection's beginning, to the end of its headers."""

FIRST_WORD = 8.0
"""Seconds that a new connection has to send its request, once the server goes: a client on a busy machine has been seen
to take more than three, and who has connected is about to ask."""
LAST_WORD = 0.5
"""The same for a connection that was kept after an answer: there clients know that it may end at any time."""

PING_PATIENCE = 20.0
"""Seconds between pings to a socket, and in which each is answered; else it is closed with 1011."""

_HOST = re.compile(rb"[\w.~%!$&'()*+,;=:\[\]-]*")
"""What an authority consists of, by RFC 3986; whether there is such a host is up to who asks for it."""

_LOOK_AGAIN = 0.02


class CarefulConfig(uvicorn.Config):
    """What uvicorn is told, and what its protocols here want to know besides."""

    head_patience: float = HEAD_PATIENCE
    first_word: float = FIRST_WORD
    stall_patience: float = STALL_PATIENCE
    last_word: float = LAST_WORD
    is_production: bool = False
    is_going: bool = False
    """Whether the server has begun to shut down."""


class CarefulHttp(HttpToolsProtocol):
    """One connection, with any number of requests one after the other."""

    config: CarefulConfig
    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # None until there is a request

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._refusal = BadRequest("This is not HTTP.")
        self._is_refused = False
        self._is_in_head = True
        self._is_last = False
        self._head_bytes = 0
        self._header_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall = Stall(self.loop, self.config.stall_patience)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """A request is expected soon."""
        super().connection_made(transport)
        self._await_head()
        if self.config.is_going:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._end_head()
        self._stall.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless it was too much already."""
        if self._is_refused:
            return
        super().data_received(data)
        if self._is_in_head and not self._is_refused:
            self._await_head()
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:  # one endless line, of which no callback tells
                self._refuse(BadRequest(f"A request's head may have {MOST_HEAD_BYTES} bytes.", status=431))

    def on_message_begin(self) -> None:
        """Another request; its first bytes may have come with the last of the one before."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        """More of the address."""
        super().on_url(url)
        if len(self.url) > MOST_URL_BYTES:
            self._refusal = BadRequest(f"An address may have {MOST_URL_BYTES} bytes: ask by POST.", status=414)
            raise ValueError("the address is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more header."""
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > MOST_HEAD_BYTES:
            self._refusal = BadRequest(f"A request's headers may have {MOST_HEAD_BYTES} bytes.", status=431)
            raise ValueError("the headers are too long")

    def on_headers_complete(self) -> None:
        """The head is whole; it says which host is meant, and none but HTTP/1.0 may leave that out."""
        hosts = [value for name, value in self.headers if name == b"host"]
        fewest = 0 if self.parser.get_http_version() == "1.0" else 1
        if not fewest <= len(hosts) <= 1 or not all(map(_HOST.fullmatch, hosts)):
            self._refusal = BadRequest("A request says in one `Host` header which host it is for.")
            raise ValueError("no host, or several")
        self._end_head()
        super().on_headers_complete()
        if self.cycle is None:
            return
        self.cycle.transport = JoinedAnswer(self.transport, self.loop)  # type: ignore[assignment]  # all of it that is used
        if self._is_last:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """What uvicorn says to a request that it cannot read, in our words."""
        self._refuse(self._refusal)

    def shutdown(self) -> None:
        """The server goes: the request under way is the last here, or the one that is on its way."""
        self._is_last = True
        if self._is_answering():
            super().shutdown()
        else:
            patience = self.config.first_word if self.cycle is None else self.config.last_word
            self.loop.call_later(patience, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.transport.is_closing() or self._is_answering():
            return
        if (self._is_in_head and self._head_bytes) or _has_unread(self.transport):
            self.loop.call_later(_LOOK_AGAIN, self._close_if_silent)
        else:
            self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def pause_writing(self) -> None:
        """The client takes nothing more for now, which it may not do for long."""
        super().pause_writing()
        self._stall.begin(self._abort)

    def resume_writing(self) -> None:
        """It took some."""
        self._stall.end()
        super().resume_writing()

    def _abort(self) -> None:
        self.transport.abort()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.config.head_patience, self._give_up)

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._refuse(BadRequest("The request did not arrive in time.", status=408))

    def _refuse(self, refusal: BadRequest) -> None:
        """Answer and close; in the middle of another answer only the closing can tell."""
        self._is_refused = True
        self._end_head()
        has_begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if has_begun or self.pipeline:
            self.transport.close()
            return
        if not self.transport.is_closing():
            self.transport.write(refusal_bytes(refusal, is_production=self.config.is_production))
        # Closing over what the client still sends would take the answer from it: it is read to the end for a moment.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)


def _has_unread(transport: asyncio.Transport) -> bool:
    """Whether the kernel holds what this process has not read yet."""
    return is_readable(transport.get_extra_info("socket").fileno())


def is_readable(file_number: int) -> bool:
    """Whether there is something to read, or a connection to accept, at this moment."""
    poll = select.poll()
    poll.register(file_number, select.POLLIN)
    return bool(poll.poll(0))


def careful_config(app: ASGIApp, *, is_production: bool = False, **options: Any) -> CarefulConfig:
    """A uvicorn config whose connections are careful."""
    pings = {"ws_ping_interval": PING_PATIENCE, "ws_ping_timeout": PING_PATIENCE}
    config = CarefulConfig(
        app,
        http=CarefulHttp,
        ws=CarefulWebSocket,
        ws_max_size=1 << 20,
        # What compression saves on small messages, it costs many times over in memory that idle sockets hold.
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        **pings | options,
    )
    config.is_production = is_production
    return config
