"""One person's burst on many workers, and cancels that race them."""

from datetime import timedelta
from random import Random

from tests.faults.crowds import CALM, UNLIMITED, eight_workers, lost_races, overfull, race_cancels, sixty_at_once
from tests.faults.plants import Hesitant
from tests.faults.stage import Servers, set_stage
from tests.faults.wiring import SixSeconds, Windowed

LIMIT = 25


async def test_sixty_at_once_go_out_in_order_and_25_in_any_hour(servers: Servers) -> None:
    """Eight workers: the first 25, then the next, then the rest; none fails. One has to be tried twice, and is not
    passed by: with a limit it would be the last of the hour that would lose its place to the first of the next."""
    async with eight_workers(servers, SixSeconds) as stage:
        crowd = await sixty_at_once(stage, troubled=LIMIT - 1)

    assert (crowd.restless, crowd.statuses) == ([], {"PUBLISHED": 60})
    assert overfull(crowd, limit=LIMIT, window=SixSeconds.window) == []
    assert [caption for _, caption in crowd.shown] == crowd.due
    assert crowd.tries > 1, "the platform did fail once"


async def test_a_limit_that_looks_and_then_takes_is_found(servers: Servers) -> None:
    """Planted: more than 25 in an hour."""
    async with eight_workers(servers, Hesitant) as stage:
        crowd = await sixty_at_once(stage, accounts=12, enough=LIMIT + 1)

    assert overfull(crowd, limit=LIMIT, window=timedelta(hours=1)) != []


async def test_a_cancel_that_was_granted_is_one_and_one_that_was_not_is_none(servers: Servers) -> None:
    """200 races of which each side wins some; `python -m tests.faults` holds 10,000."""
    async with set_stage(servers, wiring=Windowed, lease=CALM, direct=True, rate_limit_facebook=UNLIMITED) as stage:
        crowd, answers = await race_cancels(stage, Random(5), races=200)  # noqa: S311 - repeatable, not secret

    assert crowd.restless == []
    assert lost_races(crowd, answers) == []
    assert 10 < sum(answers.values()) < 190, "neither side wins them all"
