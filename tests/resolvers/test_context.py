"""The context of an operation."""

import asyncio
import gc

import pytest
from graphql.execution.executor import Executor

from resolvers.batching import BatchLoader
from resolvers.context import READS_AT_ONCE, Context
from services.domain.errors import Unauthenticated
from tests.graphql_api import Api


async def test_once_reads_once_and_fails_where_it_is_awaited(api: Api) -> None:
    """The same question of several fields is one read; one that fails harms no other."""
    calls: list[int] = []

    async def read(context: Context, number: int) -> int:
        calls.append(number)
        if number == 3:
            raise ValueError("three")
        return number * 10

    async with api.context(await api.add_person()) as context:
        answers = await asyncio.gather(*(context.once(read, number) for number in (1, 2, 3, 1)), return_exceptions=True)
        assert answers[:2] + answers[3:] == [10, 20, 10]
        assert isinstance(answers[2], ValueError)
        assert calls == [1, 2, 3]
        context.forget()
        assert await context.once(read, 1) == 10
        assert calls == [1, 2, 3, 1]


async def test_one_operation_holds_few_connections(api: Api) -> None:
    """The rest of its reads wait for them, and leave the pool to others."""
    most = 0

    async def read(context: Context) -> None:
        nonlocal most
        async with context.connect():
            most = max(most, api.services.database.usage().in_use)
            await asyncio.sleep(0.01)

    async with api.context(await api.add_person()) as context:
        await asyncio.gather(*(read(context) for _ in range(12)))
    assert most == READS_AT_ONCE


async def test_nobody_has_loaders(api: Api) -> None:
    """Without a viewer nothing can be confined, so nothing is read."""
    async with api.context(None) as context:
        with pytest.raises(Unauthenticated):
            _ = context.loaders


async def test_closing_an_operation_gives_its_connections_back(api: Api) -> None:
    """Also in the middle of a read."""
    ada = await api.add_person()
    async with api.context(ada) as context:
        waiter = asyncio.ensure_future(context.loaders.users.load(ada.user.id))
        while not api.services.database.usage().in_use:
            await asyncio.sleep(0)
    async with asyncio.timeout(2):
        while api.services.database.usage().in_use:
            await asyncio.sleep(0.01)
    assert waiter.cancelled()


async def test_an_operation_that_is_over_is_gone_at_once(api: Api) -> None:
    """Nothing of it leads back to itself, or it would wait with all that it read for the garbage collector, which comes
    after thousands of requests."""
    ada = await api.add_person()
    await api.add_account(ada)
    document = (
        "{ accounts { nodes { circuitBreaker { state } rateLimit { used } posts { totalCount } } } viewer { id } }"
    )
    for _ in range(3):  # until nothing is done for the first time, such as to connect
        await api.data(document, ada)
    gc.collect()
    gc.disable()
    try:
        await api.data(document, ada)
        await asyncio.sleep(0.1)  # tasks that ended are forgotten in the loop's next turns
        left = [type(one) for one in gc.get_objects() if issubclass(type(one), (Context, Executor, BatchLoader))]
    finally:
        gc.enable()
    assert left == []
