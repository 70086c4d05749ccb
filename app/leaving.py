"""Requests that run, and what becomes of them where the process must go at once.

Who waits is then told so with a code (UNAVAILABLE, ask again) instead of by a broken connection. Nothing is half done:
what had not been committed is undone, a commit under way is waited for, and what follows it stands in the outbox. Only
whether a change took place may be open, which the answer says; the same `idempotencyKey` makes asking again safe.
"""

import asyncio
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from services.domain.errors import Unavailable

_LOOK_AGAIN = 0.02
_QUIET_LOOKS = 3
"""So many looks in a row find nothing that runs: whoever had connected by then has been read and answered."""
_GONE = (
    "The server goes away. A change took place whole or not at all: look before you repeat it, or repeat it with the"
    " same idempotencyKey."
)


class RunningRequests:
    """What is being answered, and whether there is still time for that."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[object]] = set()
        self.is_cut_short = False

    async def cut_short(self, *, within: float) -> None:
        """Answer all, also those that still come, with UNAVAILABLE; done when they are, or after so many seconds."""
        self.is_cut_short = True
        give_up_at = time.monotonic() + within
        for task in self.tasks:
            task.cancel()
        quiet = 0
        while quiet < _QUIET_LOOKS and time.monotonic() < give_up_at:
            await asyncio.sleep(_LOOK_AGAIN)
            quiet = 0 if self.tasks else quiet + 1


class CutShort:
    """Turns a request that is cut short into a refusal."""

    def __init__(self, app: ASGIApp, *, running: RunningRequests) -> None:
        self._app = app
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or say that there is no time."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        if self._running.is_cut_short:
            raise Unavailable(_GONE, retry_after=1)
        self._running.tasks.add(task)
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self._running.is_cut_short:
                raise
            task.uncancel()
            raise Unavailable(_GONE, retry_after=1) from None
        finally:
            self._running.tasks.discard(task)
