"""A thousand posts that are due at once, two worker processes, the default limits: each is seen once."""

import asyncio
import itertools
from collections import Counter

import pytest
from sqlalchemy import func, select, text

from services.domain.accounts import Platform
from services.domain.posts import TargetStatus
from services.models import TARGETS
from tests.rig import Rig
from tests.worker_processes import log_of, worker_processes

PEOPLE = {Platform.FACEBOOK: (12, 50, None), Platform.INSTAGRAM: (16, 25, "sunrise.jpg")}
"""How many people, how many posts of each (an hour's limit), and what they show."""
PATIENCE = 150
AT_ONCE = 8


@pytest.mark.slow
async def test_a_thousand_due_posts_go_out_exactly_once(rig: Rig) -> None:
    """As the sandbox counts; nothing deferred, nothing failed, no attempt but the first."""
    wanted = await schedule_all(rig)
    assert len(wanted) == 1000
    await rig.write(text("UPDATE posts SET scheduled_at = now()"))
    await rig.write(text("UPDATE post_targets SET calendar_at = now(), next_attempt_at = now()"))

    with worker_processes(rig, 2):
        async with asyncio.timeout(PATIENCE):
            while (found := await statuses(rig)) != {TargetStatus.PUBLISHED: 1000}:
                assert not found.keys() & {TargetStatus.FAILED, TargetStatus.UNCONFIRMED}, log_of(rig)[-5000:]
                await asyncio.sleep(0.5)

    seen = rig.sandbox.http.get("/control/publications").json()
    assert Counter((one["account"], one["caption"]) for one in seen) == Counter(wanted)
    attempts = await rig.rows(select(TARGETS.c.attempt_count, TARGETS.c.permalink))
    assert {row.attempt_count for row in attempts} == {1}
    assert {row.permalink for row in attempts} == {one["permalink"] for one in seen}


async def schedule_all(rig: Rig) -> list[tuple[str, str]]:
    """Everybody's posts; gives account and caption of each."""
    wanted: list[tuple[str, str]] = []
    scheduling = []
    numbers = itertools.count()
    for platform, (people, posts, sample) in PEOPLE.items():
        for _ in range(people):
            viewer = await rig.add_user()
            account = await rig.add_account(viewer, platform)
            captions = [f"Number {next(numbers)}" for _ in range(posts)]
            wanted += [(account.external_id, caption) for caption in captions]
            scheduling += [rig.schedule(viewer, account, caption=caption, sample=sample) for caption in captions]
    for first in range(0, len(scheduling), AT_ONCE):
        await asyncio.gather(*scheduling[first : first + AT_ONCE])
    return wanted


async def statuses(rig: Rig) -> dict[str, int]:
    """How many targets stand where."""
    counted = select(TARGETS.c.status, func.count().label("total")).group_by(TARGETS.c.status)
    return {row.status: row.total for row in await rig.rows(counted)}
