"""WebSocket connections as uvicorn reads them, made careful: a handshake that is none is refused as everything else is.

What breaks the rules of WebSockets themselves ends with their own codes: 1002, 1007, 1009; and whoever answers no ping,
with 1011.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import Request
from websockets.http11 import Response as Answer

from app.faults import BadRequest
from app.refusals import refusal_bytes, refusal_response
from app.stalling import LINGER, TOO_SLOW, Stall

if TYPE_CHECKING:
    from app.protocols import CarefulConfig

_TOO_LONG = {RequestLineTooLong: 414, HeaderLineTooLong: 431, TooManyHeaders: 431}
_NOT_TEXT = 1007


class CarefulWebSocket(WebSocketsSansIOProtocol):
    """One socket; a handshake that is none is answered as HTTP."""

    config: "CarefulConfig"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stall = Stall(self.loop, self.config.stall_patience)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._stall.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes nothing more for now; what it subscribed to waits, and is told it as it stands by then."""
        super().pause_writing()
        self._stall.begin(self._give_up)

    def resume_writing(self) -> None:
        """It took some."""
        self._stall.end()
        super().resume_writing()

    def _give_up(self) -> None:
        """End what runs for the socket. Whether the client ever reads the reason is up to it, for a moment longer."""
        if not self.close_sent and self.handshake_complete:
            self.conn.send_close(TOO_SLOW, "Too slow")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": TOO_SLOW})
        self.disconnected = True
        self.writable.set()
        self.loop.call_later(LINGER, self.transport.abort)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A handshake is expected; it comes too late where the server goes."""
        super().connection_made(transport)
        if self.config.is_going:
            self.loop.call_later(self.config.first_word, self.shutdown)

    def data_received(self, data: bytes) -> None:
        """Read on; what is no handshake at all never becomes an event, and would be left waiting for ever."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.transport.is_closing():
            status = next((code for kind, code in _TOO_LONG.items() if isinstance(self.conn.handshake_exc, kind)), 400)
            refusal = BadRequest("This is not a WebSocket handshake.", status=status)
            self.transport.write(refusal_bytes(refusal, is_production=self.config.is_production))
            self.transport.close()

    def send_receive_event_to_app(self) -> None:
        """Hand a whole message on; text that is not UTF-8 ends the socket, of which the log need not tell a story."""
        self.frames = [b"".join(self.frames)]
        if self.curr_msg_data_type == "text" and not self.close_sent and not _is_text(self.frames[0]):
            self.frames = []
            self.conn.send_close(_NOT_TEXT)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def handle_connect(self, event: Request) -> None:
        """Accept the handshake, or say in our words why not."""
        accept = self.conn.accept

        def accept_or_explain(request: Request) -> Answer:
            answer = accept(request)
            return answer if answer.status_code == 101 else self._explain(answer)

        self.conn.accept = accept_or_explain  # type: ignore[method-assign]  # of this one connection
        super().handle_connect(event)

    def _explain(self, answer: Answer) -> Answer:
        refusal = BadRequest("This is not a WebSocket handshake.", status=answer.status_code)
        response = refusal_response(refusal, is_production=self.config.is_production)
        headers = Headers((name.decode(), value.decode()) for name, value in response.raw_headers)
        for name in ("Upgrade", "Sec-WebSocket-Version"):
            if name in answer.headers:
                headers[name] = answer.headers[name]
        headers["Connection"] = "close"
        return Answer(answer.status_code, answer.reason_phrase, headers, bytes(response.body))


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
