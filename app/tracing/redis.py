"""A gate whose calls are spans."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from opentelemetry.trace import Tracer
from redis.asyncio import Redis

from app.tracing.spans import child
from services.backends.redis import RedisGate

T = TypeVar("T")

_SYSTEM: dict[str, str | int] = {"db.system.name": "redis"}


class TracedGate(RedisGate):
    """Shows for how long Redis was waited for; keys and values stay untold, for they hold people's ids."""

    def __init__(self, *, tracer: Tracer, **options: Any) -> None:
        super().__init__(**options)
        self._tracer = tracer

    async def run(self, call: Callable[[Redis], Awaitable[T]]) -> T:
        """Call Redis."""
        with child(self._tracer, "redis", _SYSTEM):
            return await super().run(call)

    async def read_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Read several values at once."""
        with child(self._tracer, "redis MGET", _SYSTEM):
            return await super().read_many(keys)
