"""A dataloader that survives cancellation.

aiodataloader 0.4.3 batches well and cancels badly, so `BatchLoader` mends it:

- Two who wait for one key share a future, and cancelling one of them cancels the other: each waits behind a shield.
- A future that was cancelled stays cached, so its key fails for ever: such entries are dropped.
- A batch that ends by CancelledError leaves its waiters hanging: they are told Unavailable.
- A failure whose last waiter was cancelled is reported by asyncio as one that nobody looked at: somebody looks.
- The loop holds tasks only weakly, and a batch runs on after its operation is over: they are held here until `close`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from aiodataloader import DataLoader

from services.domain.errors import Unavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Read = Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]
"""Reads many keys at once; what is absent may be left out."""


class BatchLoader(DataLoader[K, V], Generic[K, V]):
    """Loads each key once; everything asked for at the same moment by one call of `read`."""

    def __init__(self, read: Read[K, V], absent: V, *, batch: bool = True) -> None:
        """`absent` is what a key loads where `read` leaves it out; without `batch` each key is read by itself."""
        super().__init__(self._load_batch, batch=batch)
        self._read = read
        self._absent = absent
        self._running: set[asyncio.Task[Any]] = set()

    def load(self, key: K) -> asyncio.Future[V]:
        """The value behind `key`; cancelling whoever awaits it harms nobody else."""
        known = self._cache.get(key)
        if known is not None and known.cancelled():
            self.clear(key)
        future = super().load(key)
        future.add_done_callback(_look)
        return asyncio.shield(future)

    async def close(self) -> None:
        """End what still loads, and wait until its connections are back; what is asked from here on is refused."""
        # Both lead back here, the second through whoever made it: left in place, only the garbage collector would find
        # an operation that is over, with all that it read.
        self.batch_load_fn = self._read = _refuse
        for future in self._cache.values():
            future.cancel()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _load_batch(self, keys: list[K]) -> list[V]:
        self._hold(asyncio.current_task())
        try:
            found = await self._read(keys)
        except asyncio.CancelledError:
            raise Unavailable("Reading was given up.") from None
        return [found.get(key, self._absent) for key in keys]

    def _hold(self, task: asyncio.Task[Any] | None) -> None:
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)


async def _refuse(keys: Sequence[Any]) -> Any:
    raise Unavailable("The operation is over.")


def _look(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
