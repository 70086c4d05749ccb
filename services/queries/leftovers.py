"""What was prepared at platforms and is nobody's any more: remembered in the transaction that forgets it, until
somebody has taken it away there.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.accounts import Platform
from services.domain.posts import Attempt, TargetStatus
from services.domain.publishing import Checkpoint, beyond
from services.models import ACCOUNTS, ATTEMPTS, LEFTOVERS, TARGETS
from services.queries.claims import Claim
from services.queries.leases import ledger_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One checkpoint to be taken away, held for a while by whoever claimed it."""

    id: UUID
    target_id: UUID
    account_id: UUID
    platform: Platform
    attempt: int
    checkpoint: Checkpoint
    tries: int
    """This one included."""
    sealed_token: bytes | None = field(repr=False)


async def leave_prepared(c: AsyncConnection, target_ids: Collection[UUID]) -> None:
    """These locked targets are about to forget what was prepared of them. What people may see is never left to be
    taken away."""
    if not target_ids:
        return
    prepared = select(
        func.gen_random_uuid(),
        TARGETS.c.id,
        TARGETS.c.account_id,
        TARGETS.c.platform,
        TARGETS.c.attempt_count + case((TARGETS.c.status == TargetStatus.SCHEDULED, 1), else_=0),
        TARGETS.c.checkpoint,
        func.now(),
    ).where(
        TARGETS.c.id.in_(target_ids),
        TARGETS.c.checkpoint != literal({}, JSONB),
        TARGETS.c.status != TargetStatus.UNCONFIRMED,
        TARGETS.c.step_shows.is_(False),
    )
    names = ["id", "target_id", "account_id", "platform", "attempt", "checkpoint", "due_at"]
    await c.execute(insert(LEFTOVERS).from_select(names, prepared))


async def leave_unsaved(c: AsyncConnection, claim: Claim, unsaved: Checkpoint) -> None:
    """What a worker has made and nobody knows of, for it lost its lease before it could say so."""
    locked = select(TARGETS.c.checkpoint).where(TARGETS.c.id == claim.target_id).with_for_update()
    known: Mapping[str, Any] = (await c.execute(locked)).scalar_one_or_none() or {}
    checkpoint = beyond(unsaved, known)
    if not checkpoint:
        return
    values = {
        "id": func.gen_random_uuid(),
        "target_id": claim.target_id,
        "account_id": claim.account_id,
        "platform": claim.platform,
        "attempt": claim.attempt,
        "checkpoint": checkpoint,
        "due_at": func.now(),
    }
    await c.execute(insert(LEFTOVERS).values(values))


async def claim_leftovers(c: AsyncConnection, *, hold_for: timedelta, limit: int) -> list[Leftover]:
    """Those that have waited the longest, held so that nobody else tries meanwhile."""
    due = (
        select(LEFTOVERS.c.id)
        .where(LEFTOVERS.c.due_at <= func.now())
        .order_by(LEFTOVERS.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = (
        update(LEFTOVERS)
        .where(LEFTOVERS.c.id == due.c.id)
        .values(due_at=func.now() + hold_for, tries=LEFTOVERS.c.tries + 1)
        .returning(LEFTOVERS)
        .cte("claimed")
    )
    statement = select(claimed, ACCOUNTS.c.access_token).join(ACCOUNTS, ACCOUNTS.c.id == claimed.c.account_id)
    return [
        Leftover(
            id=row.id,
            target_id=row.target_id,
            account_id=row.account_id,
            platform=Platform(row.platform),
            attempt=row.attempt,
            checkpoint=row.checkpoint,
            tries=row.tries,
            sealed_token=row.access_token,
        )
        for row in await c.execute(statement)
    ]


async def drop_leftover(c: AsyncConnection, leftover: Leftover) -> None:
    """It is gone, or nobody can take it away."""
    await c.execute(delete(LEFTOVERS).where(LEFTOVERS.c.id == leftover.id))


async def put_off_leftover(
    c: AsyncConnection, leftover: Leftover, *, until: datetime, checkpoint: Checkpoint, counts: bool
) -> None:
    """Try again then; without `counts` this was no try."""
    tries = leftover.tries if counts else leftover.tries - 1
    values = {"due_at": until, "checkpoint": checkpoint, "tries": tries}
    await c.execute(update(LEFTOVERS).where(LEFTOVERS.c.id == leftover.id).values(values))


async def tell_of_leftover(c: AsyncConnection, line: Attempt) -> bool:
    """Add the line to its target's ledger, as part of the attempt that is the last one there. False: it is deleted."""
    locked = select(TARGETS.c.id).where(TARGETS.c.id == line.target_id).with_for_update(key_share=True)
    if (await c.execute(locked)).one_or_none() is None:
        return False
    last = select(func.max(ATTEMPTS.c.number)).where(ATTEMPTS.c.target_id == line.target_id).scalar_subquery()
    number = func.greatest(line.number, last)
    await c.execute(insert(ATTEMPTS).values({**ledger_line(line), "number": number}))
    return True
