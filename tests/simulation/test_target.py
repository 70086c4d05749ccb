"""The simulation's row in memory against the statements that it stands for: the same words leave the same row."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import update

from services.domain.errors import Refused
from services.domain.ids import new_id
from services.domain.publishing import Pending, Published, Rejected, Step, Unknown
from services.models import TARGETS
from services.providers.failures import RETRY, not_done
from services.publishing.endings import Ending, Endings
from services.publishing.publisher import Publisher
from services.publishing.recording import Recorder
from services.publishing.rescue import rescue_targets
from services.publishing.retry import RetryPolicy
from services.publishing.runs import Run
from services.queries.claims import Claim
from tests.rig import Rig, now, rig, running_sandbox  # noqa: F401 - fixtures
from tests.simulation.target import Target

COMPARED = ("status", "attempt_count", "failure_count", "lease", "checkpoint", "step", "step_shows")
LEASE = timedelta(minutes=1)
CREATE, SHOW = Step("create_post", shows=False), Step("publish_post", shows=True)
AT = {"post": "1_2", "permalink": None}


@pytest.mark.parametrize("seed", range(6))
async def test_both_rows_are_the_same_after_every_word(rig: Rig, seed: int) -> None:  # noqa: F811 - the fixture
    """Claims, steps, ends, deaths and cancels in any order, with leases that hold and leases that are lost."""
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    viewer = await rig.add_user()
    account = await rig.add_account(viewer)
    post = await rig.schedule_due(viewer, account)
    model = Target(account.platform, "Good morning", b"", now(), LEASE, now, new_id())
    endings = Endings(now=now, random=lambda: 0.0, retry=RetryPolicy(), patience=LEASE)
    recorder = Recorder(
        transactions=rig.container.backends.transactions,
        quotas=rig.container.quotas,
        endings=endings,
        lease_for=LEASE,
    )
    held: list[tuple[Run, Run]] = []
    for _ in range(25):
        match random.choice(["claim", "claim", "begin", "begin", "end", "end", "die", "cancel"]):
            case "claim":
                await rig.hurry()
                model.row.next_attempt_at = model.row.next_attempt_at and now()
                claims = await rig.claimer(lease_for=LEASE).claim_due(rig.worker_id, limit=1)
                assert bool(claims) == model.is_due
                if claims:
                    held.append((_run(claims[0]), _run(model.claim())))
            case "begin" if held:
                step, pair = random.choice([CREATE, SHOW]), random.choice(held)
                for run in pair:
                    run.advance(AT, now())
                    run.begin(step, now())
                answers = [await recorder.begin(pair[0]), model.begin(pair[1])]
                assert answers[0] == answers[1]
            case "end" if held:
                pair = random.choice(held)
                end = random.choice(_ENDS)
                answers = [
                    await recorder.let_go(pair[0], end(endings, pair[0])),
                    model.let_go(pair[1], end(endings, pair[1])),
                ]
                assert answers[0] == answers[1]
            case "die":
                long_ago = now() - timedelta(seconds=1)
                await rig.write(update(TARGETS).where(TARGETS.c.lease_until.is_not(None)).values(lease_until=long_ago))
                model.row.lease_until = model.row.lease_until and long_ago
                assert bool(await rescue_targets(rig.container.backends.transactions)) == model.rescue()
            case "cancel" if random.random() < 0.3:
                try:
                    await rig.container.posts.cancel_post(viewer, post.post.id, expected_version=None)
                    granted = True
                except Refused:
                    granted = False
                assert granted == model.cancel()
        for pair in held:
            for run in pair:
                run.unwritten = []
        row = await rig.row(post)
        assert [getattr(row, name) for name in COMPARED] == [getattr(model.row, name) for name in COMPARED]
        assert (row.lease_until is None, row.next_attempt_at is None) == (
            model.row.lease_until is None,
            model.row.next_attempt_at is None,
        )


def _run(claim: Claim) -> Run:
    publisher: Any = object.__new__(Publisher)
    publisher._media_url = str
    return Run(claim, publisher._delivery(claim), began_at=now())


def _published(endings: Endings, run: Run) -> Ending:
    return endings.published(run.claim, Published("1", None, now()))


def _pending(endings: Endings, run: Run) -> Ending:
    return endings.pending(Pending(AT, timedelta(seconds=1)), may_show=run.may_show)


def _unknown(endings: Endings, run: Run) -> Ending:
    return endings.unknown(Unknown("who knows", AT), since=run.asking_since)


def _rejected(endings: Endings, run: Run) -> Ending:
    return endings.rejected(run.decided, Rejected(not_done(RETRY, "no").failure, AT), showed=run.may_show)


_ENDS: list[Callable[[Endings, Run], Ending]] = [_pending, _pending, _unknown, _unknown, _rejected, _published]
