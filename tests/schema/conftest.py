"""What the tests of the schema share."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.graphql_api import Api, open_api


@pytest.fixture
async def api(database_url: str, redis_url: str, database: AsyncEngine, redis: Redis) -> AsyncIterator[Api]:
    """The whole API on a database and a Redis that are emptied afterwards."""
    async with open_api(database_url=database_url, redis_url=redis_url) as api:
        yield api
