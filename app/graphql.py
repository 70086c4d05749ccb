"""The GraphQL endpoint: one view for queries over HTTP, event streams and sockets.

Strawberry's ASGI view brings sockets, their handshake and the protocol. HTTP is answered here, by the GraphQL over HTTP
specification; every operation, whatever it came by, gets a context of its own and answers errors with codes.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, Protocol

import strawberry
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType
from strawberry.types.unset import UnsetType

from app.answers import codes_of, result_response
from app.auth import Authenticator
from app.doorkeeping import address_of
from app.faults import BadRequest, fault_response
from app.negotiation import EVENT_STREAM, PLAIN_JSON, choose_media_type
from app.noting import Meter, note_asked, note_found, noting
from app.operations import OperationRequest, read_request, read_time_asked
from app.options import EdgeOptions
from app.sockets import SocketAdapter, SocketHandler, SocketSession
from app.sse import HEADERS, EventStream
from app.streams import OpenStreams
from schema.extensions.error_codes import failed_result
from schema.extensions.plan import PLAN_ASKED
from schema.extensions.request_timeout import TIME_ASKED
from services.backends.statements import tally_statements
from services.domain.errors import CrierError, Unauthenticated
from services.domain.viewers import Viewer

_BY_GET = {OperationType.QUERY}
_BY_POST = {OperationType.QUERY, OperationType.MUTATION}


class OperationContext(Protocol):
    """What the view needs of a context."""

    extras: dict[str, object]

    async def aclose(self) -> None:
        """The operation is over."""
        ...


class NewContext(Protocol):
    """Makes the context of one operation."""

    def __call__(self, *, viewer: Viewer | None, correlation_id: str, extras: dict[str, object]) -> OperationContext:
        """A context that nobody else uses."""
        ...


class GraphQLView(GraphQL[Any, None]):
    """Serves one schema at one path."""

    websocket_adapter_class = SocketAdapter

    def __init__(
        self,
        *,
        schema: strawberry.Schema,
        authenticator: Authenticator,
        new_context: NewContext,
        streams: OpenStreams,
        options: EdgeOptions,
        now: Callable[[], datetime],
        meter: Meter,
        page: Callable[[Request], Response | None] | None = None,
        sockets: type[SocketHandler] = SocketHandler,
    ) -> None:
        """`page` answers a browser, and gives None for everything else; `sockets` serves each of them."""
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=options.init_patience,
            max_subscriptions_per_connection=None,  # ours answers with a code
            allowed_origins=options.cors_origins,
        )
        self.graphql_transport_ws_handler_class = sockets
        self.authenticator = authenticator
        self.streams = streams
        self.options = options
        self.now = now
        self.meter = meter
        self._new_context = new_context
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one socket."""
        if scope["type"] == "websocket":
            await self.run(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive)
        response = self._page(request) if self._page is not None else None
        if response is None:
            response = await self._respond(request)
        await response(scope, receive, send)

    def operation_context(
        self, viewer: Viewer | None, correlation_id: str, time_asked: timedelta | None = None
    ) -> aclosing[OperationContext]:
        """The context of one operation, closed when it is over."""
        extras: dict[str, object] = {} if time_asked is None else {TIME_ASKED: time_asked}
        return aclosing(self._new_context(viewer=viewer, correlation_id=correlation_id, extras=extras))

    async def get_context(self, request: Any, response: Any) -> SocketSession:
        """Strawberry's context of a whole socket; operations have their own."""
        return SocketSession(view=self, correlation_id=request.state.correlation_id, address=address_of(request))

    async def on_ws_connect(self, context: SocketSession) -> UnsetType | dict[str, object] | None:
        """Let in whoever is known, and whoever claims nothing."""
        try:
            await context.identify()
        except Unauthenticated:
            raise ConnectionRejectionError from None
        return UnsetType()  # an acknowledgement without a payload

    async def _respond(self, request: Request) -> Response:
        correlation_id: str = request.state.correlation_id
        media_type = PLAIN_JSON
        try:
            media_type = choose_media_type(", ".join(request.headers.getlist("accept")))
            time_asked = read_time_asked(request.headers.get("x-request-timeout"))
            viewer = await self.authenticator.identify(request.headers.get("authorization"), address_of(request))
            asked = await read_request(
                request, most_bytes=self.options.most_body_bytes, patience=self.options.request_timeout
            )
            note_asked(request.state.noted, asked.operation_name, viewer)
            if media_type == EVENT_STREAM:
                return self._stream(request, asked, viewer, time_asked)
            async with self.operation_context(viewer, correlation_id, time_asked) as context:
                if request.headers.get("x-crier-plan") == "1" and self._may_see_plans(viewer):
                    context.extras[PLAN_ASKED] = True
                with tally_statements() as tally:
                    result = await self._execute(asked, context, correlation_id, is_get=request.method == "GET")
                note_found(request.state.noted, asked.operation_name, context.extras)
                request.state.noted["statements"] = tally.statements
                request.state.noted["codes"] = codes_of(result)
                return result_response(
                    result, media_type=media_type, correlation_id=correlation_id, extras=context.extras
                )
        except CrierError as error:
            request.state.noted["codes"] = [error.code.value]
            spoken = PLAIN_JSON if media_type == EVENT_STREAM else media_type
            return fault_response(error, correlation_id=correlation_id, media_type=spoken)

    def _may_see_plans(self, viewer: Viewer | None) -> bool:
        """Developers on a local run may, and admins anywhere."""
        return not self.options.is_production or (viewer is not None and viewer.is_admin)

    async def _execute(
        self, asked: OperationRequest, context: OperationContext, correlation_id: str, *, is_get: bool
    ) -> ExecutionResult:
        try:
            return await self.schema.execute(
                asked.query,
                variable_values=asked.variables,
                context_value=context,
                operation_name=asked.operation_name,
                allowed_operation_types=_BY_GET if is_get else _BY_POST,
                operation_extensions=asked.extensions,
            )
        except InvalidOperationTypeError as error:
            raise _refuse_kind(error.operation_type, is_get=is_get) from None
        except Exception as error:  # an operation that does not exist, or an extension that failed at the very end
            return failed_result(error, correlation_id)

    def _stream(
        self, request: Request, asked: OperationRequest, viewer: Viewer | None, time_asked: timedelta | None
    ) -> Response:
        correlation_id: str = request.state.correlation_id
        authorization = request.headers.get("authorization")
        allowed = _BY_GET if request.method == "GET" else _BY_POST
        request.state.noted["codes"] = []

        async def check() -> None:
            await self.authenticator.identify(authorization)

        async def results() -> AsyncGenerator[Any, None]:
            async with self.operation_context(viewer, correlation_id, time_asked) as context:
                stream = await self.schema.stream(
                    asked.query,
                    variable_values=asked.variables,
                    context_value=context,
                    operation_name=asked.operation_name,
                    operation_extensions=asked.extensions,
                    allowed_operation_types=allowed | {OperationType.SUBSCRIPTION},
                )
                name, extras = asked.operation_name, context.extras
                watched = noting(stream, request.state.noted, asked_name=name, extras=extras, meter=self.meter)
                async with aclosing(watched):
                    async for result in watched:
                        yield result

        stream = EventStream(
            results=results(),
            correlation_id=correlation_id,
            streams=self.streams,
            heartbeat_every=self.options.heartbeat_every,
            check=check,
        )
        return StreamingResponse(stream.events(), headers=HEADERS, media_type=EVENT_STREAM)


def _refuse_kind(kind: OperationType, *, is_get: bool) -> BadRequest:
    if kind is OperationType.SUBSCRIPTION:
        return BadRequest("Subscribe over WebSocket, or with `Accept: text/event-stream`.")
    if is_get:
        return BadRequest("A GET runs queries only.", status=405, headers={"Allow": "POST"})
    return BadRequest(f"A {kind.value} cannot be run by this kind of request.")
