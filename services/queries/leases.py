"""What the holder of a lease may write, and what becomes of leases whose holder is gone."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Update, case, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.posts import Attempt
from services.models import ATTEMPTS, TARGETS
from services.queries.claims import Claim


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A target whose worker is gone, and the step it was at; None where it had not begun one."""

    target_id: UUID
    attempt: int
    step: str | None
    step_began_at: datetime | None
    step_shows: bool
    freed_at: datetime


async def begin_step(
    c: AsyncConnection,
    claim: Claim,
    *,
    step: str,
    shows: bool,
    checkpoint: Mapping[str, Any],
    lease_for: timedelta,
    done: Sequence[Attempt],
) -> bool:
    """Before a step: save where it starts from, write down the steps done so far, and hold the lease anew.

    False: the lease is lost, and the step must not be done.
    """
    held = (
        update(TARGETS)
        .where(*_held(claim))
        .values(
            checkpoint=checkpoint,
            step=step,
            step_shows=shows,
            step_began_at=func.clock_timestamp(),
            lease_until=func.clock_timestamp() + lease_for,
        )
    )
    return await _write_held(c, held, done)


async def release_target(
    c: AsyncConnection, claim: Claim, *, done: Sequence[Attempt], charged: bool = True, **changes: Any
) -> bool:
    """Let a held target go with its new values; without `charged` the attempt was none. False: the lease was lost."""
    uncharged = {} if charged else {"attempt_count": func.greatest(TARGETS.c.attempt_count - 1, 0)}
    held = (
        update(TARGETS)
        .where(*_held(claim))
        .values(lease_until=None, leased_by=None, lease=TARGETS.c.lease + 1, **uncharged, **changes)
    )
    return await _write_held(c, held, done)


async def renew_leases(c: AsyncConnection, claims: Collection[Claim], *, lease_for: timedelta) -> None:
    """What somebody still works on stays his for another while; a lease that nobody serves any more runs out."""
    if not claims:
        return
    held = tuple_(TARGETS.c.id, TARGETS.c.lease).in_([(claim.target_id, claim.lease) for claim in claims])
    renewed = update(TARGETS).where(held, TARGETS.c.lease_until.is_not(None))
    await c.execute(renewed.values(lease_until=func.clock_timestamp() + lease_for))


async def free_expired(c: AsyncConnection, *, limit: int) -> list[Interrupted]:
    """Free targets whose worker is gone: they are due again at once.

    Nothing is repeated blindly: `step_shows` stays, and makes the next worker ask the platform first. Its patience
    begins now: nobody has asked yet.
    """
    expired = (
        select(TARGETS.c.id, TARGETS.c.step_began_at)
        .where(TARGETS.c.lease_until < func.now())
        .order_by(TARGETS.c.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("expired")
    )
    freed = (
        update(TARGETS)
        .where(TARGETS.c.id == expired.c.id)
        .values(
            lease=TARGETS.c.lease + 1,
            lease_until=None,
            leased_by=None,
            next_attempt_at=func.now(),
            step_began_at=case((TARGETS.c.step_shows, func.now()), else_=TARGETS.c.step_began_at),
        )
        .returning(
            TARGETS.c.id,
            TARGETS.c.attempt_count,
            TARGETS.c.step,
            expired.c.step_began_at,
            TARGETS.c.step_shows,
            TARGETS.c.next_attempt_at,
        )
    )
    return [Interrupted(*row) for row in await c.execute(freed)]


async def insert_attempts(c: AsyncConnection, attempts: Iterable[Attempt]) -> None:
    """Add lines to the ledger."""
    rows = [_ledger_line(attempt) for attempt in attempts]
    if rows:
        await c.execute(insert(ATTEMPTS), rows)


def _held(claim: Claim) -> list[ColumnElement[bool]]:
    return [TARGETS.c.id == claim.target_id, TARGETS.c.lease == claim.lease, TARGETS.c.lease_until.is_not(None)]


async def _write_held(c: AsyncConnection, held: Update, done: Sequence[Attempt]) -> bool:
    """The fenced update, then the ledger: the caller's transaction makes them one."""
    if (await c.execute(held.returning(TARGETS.c.id))).one_or_none() is None:
        return False
    await insert_attempts(c, done)
    return True


def _ledger_line(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "target_id": attempt.target_id,
        "number": attempt.number,
        "step": attempt.step,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "outcome": attempt.outcome,
        "code": attempt.code,
        "message": attempt.message,
    }
