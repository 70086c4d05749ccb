"""Operations over WebSocket, by the graphql-transport-ws protocol.

Strawberry's handler knows the protocol's states. Here every message is looked at before it gets there, each operation
gets a context of its own and coded errors, and a socket lives no longer than the credential it came with.

Codes a socket is closed with: 1001 Crier shuts down, 1009 message too big, 1013 nobody can say now who asks, 4400
malformed message, 4401 an operation before `connection_init`, 4403 bad or ended credential, 4406 unknown subprotocol,
4408 no `connection_init` in time, 4409 two operations with one id, 4413 a client that does not read, 4429 a second
`connection_init`. `app.socket_protocol` has those of WebSockets themselves.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation

from app.noting import note_asked, noting
from app.operations import has_too_many_parts
from app.socket_messages import find_fault
from schema.extensions.error_codes import code_error
from services.backends.statements import tally_statements
from services.domain.errors import CrierError, RateLimited, Unauthenticated
from services.domain.viewers import Viewer

if TYPE_CHECKING:
    from app.graphql import GraphQLView

_log = structlog.get_logger(__name__)

_TOO_BIG, _TRY_LATER, _MALFORMED, _FORBIDDEN = 1009, 1013, 4400, 4403
_LONGEST_CREDENTIAL = 16_384  # characters; a header may hold no more
_LONGEST_REASON = 123  # bytes, by RFC 6455
_SOON = 0.2  # seconds; a look at the very moment of a credential's end might still find it good


class SocketSession:
    """Who is at the other end of one socket, and under which ids its operations are logged."""

    def __init__(self, *, view: "GraphQLView", correlation_id: str, address: str) -> None:
        self._view = view
        self._correlation_id = correlation_id
        self._address = address
        self._operations = 0
        self._authorization: object = None
        self.viewer: Viewer | None = None

    @property
    def connection_params(self) -> Mapping[str, object]:
        """The payload of `connection_init`, which Strawberry puts here; of all that it may hold one thing is kept."""
        return {"authorization": self._authorization}

    @connection_params.setter
    def connection_params(self, payload: Mapping[str, object]) -> None:
        self._authorization = payload.get("authorization")

    async def identify(self) -> Viewer | None:
        """The viewer as of now. Raises Unauthenticated once the credential holds no longer."""
        authorization = self._authorization
        if authorization is None:
            return None
        if not isinstance(authorization, str) or len(authorization) > _LONGEST_CREDENTIAL:
            raise Unauthenticated(f"`authorization` is a string of at most {_LONGEST_CREDENTIAL} characters.")
        self.viewer = await self._view.authenticator.identify(authorization, self._address)
        return self.viewer

    def next_id(self) -> str:
        """A correlation id for one more operation."""
        self._operations += 1
        return f"{self._correlation_id}.{self._operations}"


class SocketAdapter(ASGIWebSocketAdapter):
    """One socket: text frames both ways, bounded, and closed once."""

    view: "GraphQLView"

    def __init__(self, view: Any, request: WebSocket, response: WebSocket) -> None:
        super().__init__(view, request, response)
        self._is_closed = False

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        """Messages until either side closes."""
        while not self._is_closed:
            frame = await self.ws.receive()
            if frame["type"] == "websocket.disconnect":
                self._is_closed = True
                return
            text = frame.get("text")
            if text is None:
                raise NonTextMessageReceived
            if len(text) > self.view.options.most_body_bytes or has_too_many_parts(text):
                await self.close(_TOO_BIG, "Message too big")
                return
            try:
                message = orjson.loads(text)
            except orjson.JSONDecodeError:
                raise NonJsonMessageReceived from None
            yield message

    async def send_json(self, message: Mapping[str, object]) -> None:
        """One message, as text: official clients do not read binary frames."""
        text = orjson.dumps(message).decode()
        if self._is_closed:
            raise WebSocketDisconnected
        try:
            await self.ws.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        """Close it, if nobody did."""
        if self._is_closed:
            return
        self._is_closed = True
        await self.ws.close(code, reason.encode()[:_LONGEST_REASON].decode(errors="ignore"))


class SocketHandler(BaseGraphQLTransportWSHandler[SocketSession, None]):
    """The protocol's states for one socket."""

    view: "GraphQLView"
    websocket: SocketAdapter

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._asked_extensions: dict[str, dict[str, Any] | None] = {}
        self._watch: asyncio.Task[None] | None = None

    async def handle(self) -> None:
        """Serve the socket to its end."""
        self.view.streams.add(self.websocket)
        try:
            await super().handle()
        finally:
            self.view.streams.discard(self.websocket)

    async def shutdown(self) -> None:
        """End everything that ran for this socket."""
        if self._watch is not None:
            self._watch.cancel()
        await super().shutdown()

    async def handle_message(self, message: Any) -> None:
        """Close the socket on a message that no client may send; hand the others on."""
        fault = find_fault(message)
        if fault is not None:
            await self.websocket.close(_MALFORMED, fault)
            return
        if message.get("payload", ...) is None:
            del message["payload"]  # clients with types write what they leave out as null
        await super().handle_message(message)

    async def handle_connection_init(self, message: Any) -> None:
        """Let the client in, and watch its credential from then on."""
        try:
            await super().handle_connection_init(message)
        except CrierError:
            await self.websocket.close(_TRY_LATER, "Try again later")
            return
        if self._watch is None and self.context.viewer is not None:
            self._watch = asyncio.create_task(self._watch_credential())

    async def handle_subscribe(self, message: Any) -> None:
        """Begin an operation, unless the socket carries as many as it may."""
        if self.connection_acknowledged and len(self.operations) >= self.view.options.operations_per_socket:
            refusal = RateLimited("This socket carries as many operations as it may.", retry_after=1)
            errors = [code_error(refusal, self.context.next_id()).formatted]
            await self.send_message({"id": message["id"], "type": "error", "payload": errors})
            return
        self._asked_extensions[message["id"]] = message["payload"].get("extensions")
        message["payload"].setdefault("query", "")  # where its document is named by its hash
        await super().handle_subscribe(message)

    async def run_operation(self, operation: Operation[SocketSession, None]) -> None:
        """One operation from its context to its last message."""
        correlation_id = self.context.next_id()
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)  # of this operation's task alone
        noted: dict[str, Any] = {"codes": []}
        began = time.perf_counter()
        try:
            await self._answer(operation, correlation_id, noted)
        finally:
            seconds = time.perf_counter() - began
            self.view.meter.note_operation(noted, seconds)
            _log.info("operation over", ms=round(1000 * seconds, 2), **noted)

    async def _answer(
        self, operation: Operation[SocketSession, None], correlation_id: str, noted: dict[str, Any]
    ) -> None:
        """Its results, and the message that says how it ended."""
        extensions = self._asked_extensions.pop(operation.id, None)
        try:
            with tally_statements() as tally:
                await self._run(operation, extensions, correlation_id, noted)
            noted["statements"] = tally.statements
            await operation.send_operation_message({"id": operation.id, "type": "complete"})
        except WebSocketDisconnected:
            return
        except Unauthenticated:
            await self.websocket.close(_FORBIDDEN, "Forbidden")
        except Exception as error:
            coded = code_error(error, correlation_id)
            noted["codes"].append((coded.extensions or {})["code"])
            await operation.send_initial_errors([coded])

    def forget_id(self, id: str) -> None:  # noqa: A002 — Strawberry's name
        """An operation is over; one that the client ended in the same moment is forgotten already."""
        self.operations.pop(id, None)

    async def cleanup_operation(self, operation_id: str) -> None:
        """End an operation, which may not even have begun."""
        self._asked_extensions.pop(operation_id, None)
        await super().cleanup_operation(operation_id)

    async def _run(
        self,
        operation: Operation[SocketSession, None],
        extensions: dict[str, Any] | None,
        correlation_id: str,
        noted: dict[str, Any],
    ) -> None:
        """Send what the operation gives, in a context of its own."""
        viewer = await self.context.identify()
        note_asked(noted, operation.operation_name, viewer)
        async with self.view.operation_context(viewer, correlation_id) as context:
            results = await self.schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.operation_name,
                operation_extensions=extensions,
            )
            name, extras = operation.operation_name, context.extras
            watched = noting(results, noted, asked_name=name, extras=extras, meter=self.view.meter)
            async with aclosing(watched):
                await self._send_result_stream(operation, watched)

    @staticmethod
    def _get_pre_execution_close_reason(error: Exception) -> None:
        """Never close: the error, with its code, tells the client more than a reason for closing could."""
        return

    async def _watch_credential(self) -> None:
        """Close the socket when the credential ends, by its own date or because somebody revoked it."""
        while self.context.viewer is not None:
            await asyncio.sleep(self._seconds_to_next_look(self.context.viewer.expires_at))
            try:
                await self.context.identify()
            except Unauthenticated:
                await self.websocket.close(_FORBIDDEN, "Credential ended")
                return
            except CrierError as error:
                _log.info("credential not looked at", reason=error.message)

    def _seconds_to_next_look(self, expires_at: datetime | None) -> float:
        longest = self.view.options.recheck_every.total_seconds()
        if expires_at is None:
            return longest
        left = (expires_at - self.view.now()).total_seconds()
        return min(longest, max(_SOON, left + _SOON))
