"""Operations as server-sent events: graphql-sse's distinct mode, one operation per request.

`next` events carry results, `complete` ends the stream, comments keep it alive in between. A stream also ends when its
credential does, and when Crier shuts down; the client then asks again, elsewhere.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from strawberry.types.execution import ExecutionResult

from app.answers import encode_result
from app.streams import OpenStreams
from schema.extensions.error_codes import failed_result

HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx would hold events back otherwise
}

_COMPLETE = b"event: complete\ndata:\n\n"
_STILL_HERE = b":\n\n"


class EventStream:
    """The body of one answer."""

    def __init__(
        self,
        *,
        results: AsyncGenerator[Any, None],
        correlation_id: str,
        streams: OpenStreams,
        heartbeat_every: timedelta,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        self._results = results
        self._correlation_id = correlation_id
        self._streams = streams
        self._heartbeat = heartbeat_every.total_seconds()
        self._check = check

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Everything that is sent, to the end."""
        async with aclosing(self._results):
            try:
                async for result in self._until_closing():
                    yield _STILL_HERE if result is None else self._event(result)
            except Exception as error:
                yield self._event(failed_result(error, self._correlation_id))
        yield _COMPLETE

    async def _until_closing(self) -> AsyncGenerator[ExecutionResult | None, None]:
        """Results as they come, and None whenever it was quiet for long; ends early at a shutdown."""
        clock = asyncio.get_running_loop().time
        check_at = clock() + self._heartbeat
        closing = asyncio.ensure_future(self._streams.closing.wait())
        following = asyncio.ensure_future(anext(self._results, None))
        try:
            while True:
                await asyncio.wait({following, closing}, timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED)
                if closing.done():
                    return
                if clock() >= check_at:
                    await self._check()
                    check_at = clock() + self._heartbeat
                if not following.done():
                    yield None
                    continue
                result = following.result()
                if result is None:
                    return
                yield result
                following = asyncio.ensure_future(anext(self._results, None))
        finally:
            for task in (following, closing):
                task.cancel()
            await asyncio.gather(following, closing, return_exceptions=True)

    def _event(self, result: ExecutionResult) -> bytes:
        return b"event: next\ndata: " + encode_result(result, self._correlation_id) + b"\n\n"
