"""One run: posts are scheduled, nemeses strike, all is healed, and what is left is held against the invariants."""

import asyncio
import time
from datetime import timedelta

from sqlalchemy import text

from services.domain.accounts import Account
from services.domain.drafts import Variant
from services.domain.posts import PostState
from services.domain.viewers import Viewer
from tests.faults.invariants import gather_evidence, violations
from tests.faults.nemeses import Cast
from tests.faults.plans import Plan
from tests.faults.stage import Stage
from tests.rig import Rig, now
from tests.services.publishing.kinds import KINDS

SETTLES_WITHIN = 90.0
"""Seconds after the last trouble has ended."""


async def perform(stage: Stage, plan: Plan) -> list[str]:
    """Everything that this run did to the promise; nothing, if all is well."""
    await stage.crew.begin()
    await stage.clear()
    cast = await _cast(stage.rig, plan)
    await asyncio.gather(*(nemesis.strike(stage, cast) for nemesis in plan.nemeses))
    await _last_due(cast)
    stage.heal()
    restless = await settle(stage)
    return [*restless, *violations(await gather_evidence(stage, cast))]


async def settle(stage: Stage, *, within: float = SETTLES_WITHIN) -> list[str]:
    """Wait until nothing moves any more; what still does after that time is a violation."""
    deadline = time.monotonic() + within
    while True:
        moving = (await stage.rig.rows(_MOVING))[0]
        if not any(moving):
            return []
        if time.monotonic() > deadline:
            what = f"{moving.targets} targets, {moving.events} events and {moving.leftovers} leftovers"
            return [f"settle: {what} still move after {within:g} s"]
        await asyncio.sleep(0.1)


async def _cast(rig: Rig, plan: Plan) -> Cast:
    viewer = await rig.add_user()
    accounts = [await rig.add_account(viewer, KINDS[kind].platform) for kind in plan.kinds]
    start = now()
    scheduled = zip(plan.kinds, plan.dues, accounts, strict=True)
    posts = [
        await schedule(
            rig,
            viewer,
            account,
            kind,
            caption=f"{plan.name}, post {number}: {kind}",
            due=start + timedelta(seconds=due),
        )
        for number, (kind, due, account) in enumerate(scheduled)
    ]
    return Cast(viewer, posts)


async def schedule(rig: Rig, viewer: Viewer, account: Account, kind: str, *, caption: str, due: object) -> PostState:
    """A post of one kind for that moment, or for the next if that is over already."""
    one = KINDS[kind]
    variants = () if one.options is None else (Variant(account.id, options=one.options),)
    due = max(due, now() + timedelta(milliseconds=700))
    return await rig.schedule(viewer, account, caption=caption, sample=one.sample, variants=variants, scheduled_at=due)


async def _last_due(cast: Cast) -> None:
    """Trouble lasts at least until every post's time has come."""
    last = max(post.post.scheduled_at for post in cast.posts if post.post.scheduled_at)
    await asyncio.sleep(max(0.0, (last - now()).total_seconds() + 0.5))


_MOVING = text("""
SELECT count(*) FILTER (
        WHERE status = 'PUBLISHING' OR lease_until IS NOT NULL OR step_shows
            OR next_attempt_at < now() + interval '30 seconds'
    ) AS targets,
    (SELECT count(*) FROM outbox) AS events,
    (SELECT count(*) FROM leftovers) AS leftovers
FROM post_targets
""")
