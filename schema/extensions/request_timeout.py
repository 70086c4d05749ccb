"""No operation outlasts its time: what was finished is answered, what was not is null with TIMEOUT at its path.

The extension decides how long; the executor sets the deadline, under which every statement runs as well
(services.backends.deadline), and ends whatever resolver still waits at that moment. graphql-core's own abort signal
would do the same at the price of two tasks for every asynchronous field; a timer is enough.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from inspect import isawaitable, iscoroutine
from typing import Any, TypeVar

from graphql import OperationType
from strawberry.extensions import SchemaExtension

from schema.rendering import RenderingExecutor
from services.backends.deadline import current_deadline, deadline_in
from services.domain.errors import TimedOut

T = TypeVar("T")

TIME_ASKED = "time_asked"
"""Where the time that the client asked for (a timedelta) stands among the context's extras."""
_TIME_ALLOWED = "time_allowed"


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long an operation may take; for a subscription, each of its events."""

    query: timedelta
    mutation: timedelta
    subscription: timedelta

    @classmethod
    def same(cls, limit: timedelta) -> "TimeLimits":
        """One limit for every kind."""
        return cls(limit, limit, limit)


class RequestTimeout(SchemaExtension):
    """Decides how long an operation may take: its kind's limit, or less where the client asks for less."""

    def __init__(self, *, limits: TimeLimits) -> None:
        self._limits = limits

    def on_execute(self) -> Iterator[None]:
        """Decide, now that the kind is known."""
        extras = self.execution_context.context.extras
        allowed: timedelta = getattr(self._limits, self.execution_context.operation_type.value)
        asked = extras.get(TIME_ASKED)
        extras[_TIME_ALLOWED] = min(allowed, asked) if isinstance(asked, timedelta) else allowed
        yield


class TimedExecutor(RenderingExecutor):
    """Executes a query, a mutation, or one event of a subscription under its deadline, if the schema sets any."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._root_fields: list[Any] = []
        """Those of a subscription's first event; what executes the others is a shallow copy of this."""

    async def execute_operation(self, serially: bool | None = None) -> Any:
        """Execute, and answer in time."""
        allowed = self.context_value.extras.get(_TIME_ALLOWED)
        try:
            with deadline_in(allowed) if isinstance(allowed, timedelta) else nullcontext():
                result = super().execute_operation(serially)
                return await result if isawaitable(result) else result
        finally:
            # Two of its own methods, for resolvers that run no more. Kept, they would make every operation a ring with
            # all that it read, which only the garbage collector finds, thousands of requests later.
            del self.async_helpers

    def execute_collected_root_fields(self, root_type: Any, root_value: Any, fields: Any, *more: Any) -> Any:
        """Execute the fields that the first event was asked for, which are every event's.

        graphql-core collects them anew each time, and remembers what lies below them by the very lists: all events of
        a subscription would be remembered as long as it lasts.
        """
        if not self._root_fields:
            self._root_fields.append(fields)
        return super().execute_collected_root_fields(root_type, root_value, self._root_fields[0], *more)

    async def with_abort_signal(self, awaitable: Awaitable[T]) -> T:
        """Wait for a resolver until the deadline; one that comes too late is not even begun."""
        deadline = current_deadline()
        if deadline is None:
            return await awaitable
        left = deadline.remaining()
        if left <= 0:
            if iscoroutine(awaitable):
                awaitable.close()
            raise TimedOut("The operation's time was over before this began.")
        try:
            async with asyncio.timeout(left) as timer:
                return await awaitable
        except TimedOut as error:  # a statement, which ends a moment earlier
            raise TimedOut(self._explain(error.message)) from error
        except TimeoutError:
            if not timer.expired():
                raise
            raise TimedOut(self._explain("The operation's time is over.")) from None

    def _explain(self, message: str) -> str:
        if self.operation.operation is not OperationType.MUTATION:
            return message
        return (
            f"{message} The change took place whole or not at all: look before you repeat it, or repeat it with the "
            "same idempotencyKey."
        )
