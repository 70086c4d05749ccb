"""A database that is too busy to write down a step: nothing is sent that nobody has noted, and nothing is in doubt."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from services.domain.errors import ErrorCode
from services.domain.posts import TargetStatus
from services.publishing import recording
from tests.rig import Rig, rig_with

BUSY = 3.0
"""Seconds: longer than a caller waits in line for a connection."""


pytestmark = rig_with(db_pool_max=1)


async def publish_while_busy(rig: Rig) -> None:
    """Publish the one target that is due; somebody else has the connection meanwhile, for a while."""
    claim = await rig.claim()
    async with AsyncExitStack() as busy:
        await busy.enter_async_context(rig.container.backends.database.connect())
        publishing = asyncio.create_task(rig.publisher().publish(claim))
        await asyncio.sleep(BUSY)
    await publishing


async def test_step_that_could_not_be_noted_was_not_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where nobody insists: it waits to be tried again, and is not asked about as if it might be out."""
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


async def test_writing_down_is_insisted_on(rig: Rig) -> None:
    """A busy moment costs that moment and nothing else."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule_due(ada, account)

    await publish_while_busy(rig)

    assert (await rig.target(post)).status is TargetStatus.PUBLISHED
    assert {line.number for line in await rig.ledger(post)} == {1}
    assert [one["count"] for one in rig.seen(account)] == [1]
