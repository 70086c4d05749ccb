"""A database that is too busy to write down a step: nothing is sent that nobody has noted, and nothing is in doubt."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.running import RunningSandbox
from services.domain.errors import ErrorCode
from services.domain.posts import TargetStatus
from services.publishing import recording
from tests.rig import Rig, open_rig

BUSY = 3.0
"""Seconds: longer than a caller waits in line for a connection."""


@pytest.fixture
async def narrow_rig(  # noqa: PLR0917 - pytest names them
    running_sandbox: RunningSandbox,
    database: AsyncEngine,
    redis: Redis,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
) -> AsyncIterator[Rig]:
    """A Crier with one connection to its database."""
    running_sandbox.reset()
    places = {"database_url": database_url, "redis_url": redis_url, "folder": tmp_path}
    async with open_rig(running_sandbox, **places, db_pool_max=1) as rig:
        yield rig


async def publish_while_busy(rig: Rig) -> None:
    """Publish the one target that is due; somebody else has the connection meanwhile, for a while."""
    claim = await rig.claim()
    async with AsyncExitStack() as busy:
        await busy.enter_async_context(rig.container.backends.database.connect())
        publishing = asyncio.create_task(rig.publisher().publish(claim))
        await asyncio.sleep(BUSY)
    await publishing


async def test_step_that_could_not_be_noted_was_not_sent(narrow_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where nobody insists: it waits to be tried again, and is not asked about as if it might be out."""
    rig = narrow_rig
    monkeypatch.setattr(recording, "_INSISTS_FOR", 0)
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule_due(ada, account)

    await publish_while_busy(rig)

    row = await rig.row(post)
    assert (row.status, row.step_shows, row.waiting_code) == (TargetStatus.RETRYING, False, ErrorCode.OVERLOADED)
    assert rig.requests("facebook.update") == []
    await rig.hurry()
    await rig.publish()
    assert [one["count"] for one in rig.seen(account)] == [1]


async def test_writing_down_is_insisted_on(narrow_rig: Rig) -> None:
    """A busy moment costs that moment and nothing else."""
    rig = narrow_rig
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule_due(ada, account)

    await publish_while_busy(rig)

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert {line.number for line in await rig.ledger(post)} == {1}
    assert [one["count"] for one in rig.seen(account)] == [1]
