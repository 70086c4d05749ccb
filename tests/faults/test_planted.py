"""The programme is itself tested: with each of these mistakes planted it turns red, and without it stays green."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.faults.nemeses import FreezeUntilOvertaken, KillAt, KillWhenAsked, LoseRedis, Nemesis
from tests.faults.plans import Plan
from tests.faults.plants import Belated, PlainPurgatory, Unfenced
from tests.faults.runs import perform
from tests.faults.stage import Servers, set_stage
from tests.faults.wiring import LEASE, Hurried


@dataclass(frozen=True)
class Planted:
    """A mistake, a run that meets it, and the invariants it breaks, of which one at least has to say so."""

    plan: Plan
    breaks: tuple[str, ...]
    wiring: type[Hurried] = Hurried
    lease: timedelta = LEASE
    right_lease: timedelta = LEASE


def _plan(name: str, kind: str, *nemeses: Nemesis) -> Plan:
    return Plan(name, [kind], [0.8], nemeses)


PLANTED = {
    "a lease shorter than the platform's slow tail": Planted(
        _plan("slow tail", "image", KillWhenAsked("instagram.media_publish", slowly=timedelta(seconds=11))),
        breaks=("each_post_shows_as_its_end_says",),
        lease=timedelta(seconds=2),
        right_lease=timedelta(seconds=12),
    ),
    "the fence removed": Planted(
        _plan("slow worker", "image", FreezeUntilOvertaken("instagram.media")),
        breaks=("each_post_shows_as_its_end_says", "every_target_rests", "the_ledger_is_whole"),
        wiring=Unfenced,
    ),
    "purgatory's own Redis unit of work": Planted(
        _plan("Redis away", "text", LoseRedis(0.1, "kill", 7)),
        breaks=("it_goes_on_without_redis",),
        wiring=PlainPurgatory,
    ),
    "a checkpoint saved after its step": Planted(
        _plan("death with the answer in hand", "text", KillAt("publish_post", "after", post=0)),
        breaks=("each_post_shows_as_its_end_says",),
        wiring=Belated,
    ),
}


@pytest.mark.parametrize("mistake", PLANTED)
async def test_a_planted_mistake_turns_the_programme_red(servers: Servers, mistake: str) -> None:
    """An invariant that it breaks says so."""
    planted = PLANTED[mistake]
    async with set_stage(servers, wiring=planted.wiring, lease=planted.lease) as stage:
        found = await perform(stage, planted.plan)

    assert any(problem.startswith(planted.breaks) for problem in found), found


@pytest.mark.parametrize("mistake", PLANTED)
async def test_without_the_mistake_the_same_run_is_green(servers: Servers, mistake: str) -> None:
    """The nemeses alone break nothing."""
    planted = PLANTED[mistake]
    async with set_stage(servers, lease=planted.right_lease) as stage:
        assert await perform(stage, planted.plan) == []
