"""The way of one delivery, seed by seed: the product's publisher, clients and policies on a virtual clock."""

import pytest

from services.publishing.publisher import Publisher
from services.queries.claims import Claim
from tests.simulation.world import World, simulate, violations

SEEDS = 800
"""`python -m tests.faults` goes through 10,000."""
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_no_seed_shows_a_post_twice_or_forgets_it(part: int) -> None:
    """Drops, errors, refusals, slow tails, deaths, stalls and cancels: at rest, and as the target's end says."""
    found = {seed: problems for seed in range(part, SEEDS, PARTS) if (problems := violations(simulate(seed)))}

    assert found == {}


def test_a_seed_is_repeatable() -> None:
    """The same seed takes the same course, to the microsecond."""
    first, second = simulate(17), simulate(17)

    assert _course(first) == _course(second)
    assert first.platform.log


def test_the_simulation_finds_blind_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a publisher that takes every claim for one without a doubt."""
    publish = Publisher.publish

    async def publish_blindly(self: Publisher, claim: Claim) -> None:
        object.__setattr__(claim, "step_shows", False)
        await publish(self, claim)

    monkeypatch.setattr(Publisher, "publish", publish_blindly)

    assert any(violations(simulate(seed)) for seed in range(60))


def _course(world: World) -> list[object]:
    lines = [(line.number, line.step, line.outcome, line.started_at, line.ended_at) for line in world.target.ledger]
    return [*lines, *world.platform.log]
