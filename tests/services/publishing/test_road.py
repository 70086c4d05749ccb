"""Every kind of post on every platform, from due to seen."""

import itertools

import pytest

from services.backends.statements import tally_statements
from services.domain.accounts import Platform
from services.domain.posts import AttemptOutcome, PostStatus, TargetStatus
from tests.rig import Rig
from tests.services.publishing.kinds import KINDS, a_due_post


@pytest.mark.parametrize("name", KINDS)
async def test_a_due_post_goes_out_once_and_its_ledger_is_whole(rig: Rig, name: str) -> None:
    """Seen once, at the true permalink; every step is in the ledger, in order, and in no time that overlaps."""
    _, account, post = await a_due_post(rig, name)

    await rig.publish()

    done = await rig.state(post)
    [target] = done.targets
    [seen] = rig.seen(account)
    assert (done.post.status, target.status) == (PostStatus.PUBLISHED, TargetStatus.PUBLISHED)
    assert target.permalink == seen["permalink"]
    assert target.platform_post_id is not None
    assert target.attempt_count == 1
    assert done.post.published_at == target.published_at is not None
    assert (target.next_attempt_at, target.waiting_for, target.last_error) == (None, None, None)
    ledger = await rig.ledger(post)
    steps = [step for step, _ in itertools.groupby(line.step for line in ledger if line.step != "find_out")]
    assert steps == [step for step, _ in itertools.groupby(KINDS[name].steps.split())][: len(steps)]
    assert len(steps) >= len(set(KINDS[name].steps.split())) - 1
    assert ledger[-1].outcome is AttemptOutcome.SUCCEEDED
    assert all(line.number == 1 and line.code is None for line in ledger)
    moments = [moment for line in ledger for moment in (line.started_at, line.ended_at)]
    assert moments == sorted(moments)


async def test_one_post_goes_out_on_all_its_accounts(rig: Rig) -> None:
    """Three platforms, one caption each; the post's status is the roll-up, its version counts every change."""
    ada = await rig.add_user()
    accounts = [await rig.add_account(ada, platform) for platform in Platform]
    post = await rig.schedule_due(ada, *accounts, caption="To all", sample="clip.mp4")

    await rig.publish()

    done = await rig.state(post)
    assert done.post.status is PostStatus.PUBLISHED
    assert [len(rig.seen(account)) for account in accounts] == [1, 1, 1]
    assert done.post.published_at == min(target.published_at for target in done.targets if target.published_at)
    assert done.post.version > post.post.version


@pytest.mark.parametrize(("name", "most"), [("text", 4), ("image", 5)])
async def test_a_post_takes_few_statements(rig: Rig, name: str, most: int) -> None:
    """A claim six, however many it takes; each post one for every saved step, and three for its end."""
    for _ in range(4):
        await a_due_post(rig, name)

    with tally_statements() as claiming:
        claims = await rig.claimer().claim_due(rig.worker_id, limit=10)
    with tally_statements() as publishing:
        for claim in claims:
            await rig.publisher().publish(claim)

    assert len(claims) == 4
    assert claiming.statements <= 6 + 1
    assert publishing.statements <= 4 * most + 4, "told events are deleted apart, those of a moment together"


async def test_nothing_goes_out_before_its_time(rig: Rig) -> None:
    """A post of the next hour is not claimed."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    post = await rig.schedule(ada, account)

    await rig.publish()

    assert rig.seen(account) == []
    assert await rig.state(post) == post
