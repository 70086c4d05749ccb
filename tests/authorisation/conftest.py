"""What the tests here share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.running import RunningSandbox
from tests.authorisation.world import World, open_world
from tests.rig import running_sandbox  # noqa: F401 - fixture


@pytest.fixture
async def world(  # noqa: PLR0917 - pytest names them
    running_sandbox: RunningSandbox,  # noqa: F811 - the fixture
    database: AsyncEngine,
    redis: Redis,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
) -> AsyncIterator[World]:
    """The app before everybody's data, which is gone afterwards."""
    async with open_world(running_sandbox, database_url=database_url, redis_url=redis_url, folder=tmp_path) as world:
        yield world
