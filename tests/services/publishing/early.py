"""Posts whose slow work is done before their time."""

import asyncio

from sqlalchemy import func, update

from services.domain.accounts import Account
from services.domain.drafts import Variant
from services.domain.posts import PostState
from services.domain.viewers import Viewer
from services.models import TARGETS
from services.publishing.preparing import Preparer
from tests.rig import Rig
from tests.services.publishing.kinds import KINDS

SLOW_KINDS = [name for name, kind in KINDS.items() if kind.sample is not None]


async def a_post_to_come(rig: Rig, name: str) -> tuple[Viewer, Account, PostState]:
    """A post of one kind by somebody new, due in two minutes: it may be prepared."""
    kind = KINDS[name]
    viewer = await rig.add_user()
    account = await rig.add_account(viewer, kind.platform)
    variants = () if kind.options is None else (Variant(account.id, options=kind.options),)
    post = await rig.schedule(viewer, account, sample=kind.sample, variants=variants, hours=1 / 30)
    return viewer, account, post


async def prepare(rig: Rig, preparer: Preparer | None = None) -> int:
    """Prepare all that may be, until no more is to be done before its time; gives how often something was claimed."""
    claimed = 0
    for _ in range(50):
        claims = await rig.claimer().claim_early(rig.worker_id, limit=50)
        await asyncio.gather(*((preparer or rig.preparer()).prepare(claim) for claim in claims))
        waits = update(TARGETS).where(TARGETS.c.prepare_at.is_not(None)).values(prepare_at=func.now())
        if not claims and not await rig.write(waits):
            return claimed
        claimed += len(claims)
    raise AssertionError("no end of preparing")
