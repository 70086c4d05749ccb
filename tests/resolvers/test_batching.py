"""The dataloader, and what cancelling does to it."""

import asyncio
import gc
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from resolvers.batching import BatchLoader
from services.domain.errors import Unavailable


class Source:
    """Something to read from, which can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.ended: list[str] = []

    async def read(self, keys: Sequence[int]) -> Mapping[int, str]:
        """Every key but 0 has a value."""
        self.batches.append(list(keys))
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.ended.append("canceled")
            raise
        return {key: f"value {key}" for key in keys if key}


async def settled() -> None:
    """Let everything go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_keys_asked_for_together_are_one_batch_and_read_once() -> None:
    """What is absent has its value, too."""
    source = Source()
    loader = BatchLoader(source.read, None)
    found = await asyncio.gather(*(loader.load(key) for key in (1, 2, 0, 1)))
    assert found == ["value 1", "value 2", None, "value 1"]
    assert await loader.load(2) == "value 2"
    assert source.batches == [[1, 2, 0]]


async def test_cancelling_one_waiter_leaves_the_other_and_the_key_alone() -> None:
    """Aiodataloader by itself cancels both and never gives the key again."""
    source = Source()
    source.go.clear()
    loader = BatchLoader(source.read, None)

    async def wait() -> str | None:
        return await loader.load(1)

    one, other = asyncio.create_task(wait()), asyncio.create_task(wait())
    await settled()
    one.cancel()
    await settled()
    source.go.set()
    assert await other == "value 1"
    assert one.cancelled()
    assert await loader.load(1) == "value 1"
    assert source.batches == [[1]]


async def test_a_batch_that_is_cancelled_tells_its_waiters() -> None:
    """They would hang for ever; the next one who asks gets a new batch."""
    answers: list[Any] = [asyncio.CancelledError, None]

    async def read(keys: Sequence[int]) -> Mapping[int, str]:
        if answers.pop(0):
            raise asyncio.CancelledError
        return dict.fromkeys(keys, "value")

    loader = BatchLoader(read, "")
    with pytest.raises(Unavailable):
        await asyncio.wait_for(loader.load(1), 1)
    assert await asyncio.wait_for(loader.load(1), 1) == "value"


async def test_a_batch_that_fails_fails_its_keys_once() -> None:
    """Whoever asks again reads again."""
    answers: list[Any] = [ValueError("no"), {1: "value"}]

    async def read(keys: Sequence[int]) -> Mapping[int, str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: Mapping[int, str] = answer
        return found

    loader = BatchLoader(read, "")
    with pytest.raises(ValueError, match="no"):
        await loader.load(1)
    assert await loader.load(1) == "value"


async def test_closing_ends_what_still_loads_and_waits_for_it() -> None:
    """No statement outlives its operation, and nobody waits for what will not come."""
    source = Source()
    source.go.clear()
    loader = BatchLoader(source.read, None)
    waiter = asyncio.ensure_future(loader.load(1))
    await settled()
    await loader.close()
    assert source.ended == ["canceled"]
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    with pytest.raises(asyncio.CancelledError):
        await waiter


async def test_closing_stops_what_was_asked_for_but_not_begun() -> None:
    """A load in the last moment of an operation reads nothing."""
    source = Source()
    loader = BatchLoader(source.read, None)
    waiter = loader.load(1)
    await loader.close()
    await settled()
    assert source.batches == []
    assert waiter.cancelled()


async def test_batches_are_held_while_they_run() -> None:
    """The loop holds tasks weakly: collecting garbage must not end a read."""
    source = Source()
    source.go.clear()
    loader = BatchLoader(source.read, None)
    waiter = asyncio.ensure_future(loader.load(1))
    await settled()
    gc.collect()
    assert len(loader._running) == 1
    source.go.set()
    assert await waiter == "value 1"
    await settled()
    assert len(loader._running) == 0


async def test_nothing_is_reported_when_whoever_waited_has_gone(caplog: pytest.LogCaptureFixture) -> None:
    """A failure that nobody waits for any more is nobody's."""

    async def read(keys: Sequence[int]) -> Mapping[int, str]:
        await asyncio.sleep(0.01)
        raise ValueError

    loader = BatchLoader(read, "")

    async def wait() -> str:
        return await loader.load(1)

    task = asyncio.create_task(wait())
    await settled()
    task.cancel()
    await asyncio.sleep(0.03)
    del task
    gc.collect()
    assert caplog.records == []
