"""The short form of the programme: some runs of every `make test`. `python -m tests.faults` is the long one."""

from datetime import timedelta

import pytest

from tests.faults.nemeses import StepClock, Trouble
from tests.faults.plans import WORKERS, Plan, draw_plan
from tests.faults.runs import perform
from tests.faults.stage import Servers, set_stage

SEEDS = (11, 47, 59, 83, 107)
"""Deaths of all three platforms; what else goes wrong there is drawn."""


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_breaks_each_post_shows_once(servers: Servers, seed: int) -> None:
    """Real workers, killed and cut off by this seed's nemeses: no invariant is broken."""
    plan = draw_plan(seed)
    async with set_stage(servers) as stage:
        assert await perform(stage, plan) == [], plan


async def test_clocks_that_jump_put_nothing_off(servers: Servers) -> None:
    """Every worker's wall clock is a day ahead: what is in doubt is asked back, what failed is tried again, now."""
    jumps = [StepClock(worker, after=0, by=timedelta(days=1)) for worker in range(WORKERS)]
    trouble = [
        Trouble("facebook.update", {"when": "after", "status": 500}),
        Trouble("instagram.media", {"when": "before", "status": 500}),
    ]
    plan = Plan("jumping clocks", ["text", "image"], [0.8, 0.8], [*jumps, *trouble])
    async with set_stage(servers) as stage:
        assert await perform(stage, plan) == []
