"""One route of a platform: read, suffer what is armed before, act, suffer what is armed after, answer.

The act runs in a task of its own: once a request has arrived whole, its effect comes, whatever becomes of the client.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.sandbox.calls import MAX_BODY_BYTES, Call, read_call
from app.sandbox.connections import cut, read_body
from app.sandbox.facts import facts_of
from app.sandbox.fault_answers import answer_of
from app.sandbox.faults import When
from app.sandbox.objects import Visit
from app.sandbox.world import World

Handler = Callable[[World, Call], Coroutine[Any, Any, Response]]


class ConnectionDropped(Exception):
    """An armed fault cuts the connection, or the world it was made to is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a platform does at one path; `name` is what faults and the request journal call it."""

    name: str
    method: str
    path: str
    handler: Handler
    keeps_partial_body: bool = False
    """Whether bytes count although the client vanished before the last (an upload in chunks)."""


class Endpoint:
    """An operation as an ASGI application."""

    def __init__(self, *, world: World, operation: Operation) -> None:
        self._world = world
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, from its first byte to its answer or its cut."""
        request = Request(scope, receive)
        try:
            body, is_whole = await read_body(receive, limit=MAX_BODY_BYTES)
        except ValueError as too_much:
            await PlainTextResponse(str(too_much), 413)(scope, receive, send)
            return
        call = await read_call(self._operation.name, request, body, is_whole=is_whole)
        visit = self._note(call)
        if not (is_whole or self._operation.keeps_partial_body):
            return

        try:
            response = await self._answer(call, visit)
        except ConnectionDropped:
            await cut(receive)
            return
        visit.status = response.status_code
        await response(scope, receive, send)

    async def _answer(self, call: Call, visit: Visit) -> Response:
        generation = self._world.generation
        refusal = await self._suffer("before", call, visit)
        if refusal is not None:
            return refusal
        if self._world.generation != generation:
            raise ConnectionDropped
        response = await asyncio.shield(self._world.detach(self._operation.handler(self._world, call)))
        if response.status_code >= 400:
            return response
        return await self._suffer("after", call, visit) or response

    async def _suffer(self, when: When, call: Call, visit: Visit) -> Response | None:
        if not self._world.faults.armed:
            return None
        for fault in self._world.faults.take_around(when, call.route, facts_of(self._world, call)):
            visit.faults.append(fault.id)
            if fault.action == "drop":
                raise ConnectionDropped
            if fault.action == "answer":
                return answer_of(fault, call.route)
            await asyncio.sleep(fault.seconds)
        return None

    def _note(self, call: Call) -> Visit:
        visit = Visit(
            at=self._world.clock.now(),
            route=call.route,
            method=call.method,
            path=call.path,
            params={name: _shown(name, value) for name, value in call.params.items()},
            body_bytes=len(call.body),
            is_whole=call.is_whole,
            faults=[],
        )
        self._world.visits.append(visit)
        return visit


def _shown(name: str, value: str) -> str:
    secret = "secret" in name or name in ("access_token", "refresh_token", "fb_exchange_token", "code_verifier")
    return f"…{value[-6:]}" if secret else value[:2000]
