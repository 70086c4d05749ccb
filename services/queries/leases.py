"""What the holder of a lease may write, and what becomes of leases whose holder is gone."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Interval,
    Select,
    Update,
    bindparam,
    case,
    column,
    exists,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.errors import ErrorCode
from services.domain.ids import new_id
from services.domain.posts import Attempt, AttemptOutcome, TargetStatus
from services.models import ATTEMPTS, POSTS, TARGETS
from services.queries.claims import Claim

DELIVERY = "held_delivery"
"""The hole in a statement that changes other rows beside a target's: under which name it holds them."""
LEDGER = ("id", "target_id", "number", "step", "started_at", "ended_at", "outcome", "code", "message")


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
    values = {"checkpoint": checkpoint, "step": step, "step_shows": shows}
    return await _write_held(c, claim, _beginning(bool(done)), values, done, lease_for=lease_for)


async def release_target(
    c: AsyncConnection,
    claim: Claim,
    *,
    done: Sequence[Attempt],
    charged: bool = True,
    locks_post: bool = True,
    beside: Update | None = None,
    **changes: Any,
) -> bool:
    """Let a held target go with its new values; without `charged` the attempt was none. False: the lease was lost.

    `locks_post`: its post is locked first, as every change does that is told. `beside` changes other rows, if the
    target was held; it is always the same object, and its hole `DELIVERY` is filled with the target's name.
    """
    releasing = _releasing(tuple(changes), charged, locks_post, bool(done), beside)
    return await _write_held(c, claim, releasing, changes, done)


async def renew_leases(c: AsyncConnection, claims: Collection[Claim], *, lease_for: timedelta) -> None:
    """What somebody still works on stays his for another while; a lease that nobody serves any more runs out."""
    if not claims:
        return
    held = tuple_(TARGETS.c.id, TARGETS.c.lease).in_([(claim.target_id, claim.lease) for claim in claims])
    renewed = update(TARGETS).where(held, TARGETS.c.lease_until.is_not(None))
    await c.execute(renewed.values(lease_until=func.clock_timestamp() + lease_for))


async def free_expired(c: AsyncConnection, *, limit: int) -> list[Interrupted]:
    """Free targets whose worker is gone: they are due again at once, or are prepared again where their time is to come.

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
    is_early = TARGETS.c.status == TargetStatus.SCHEDULED
    freed = (
        update(TARGETS)
        .where(TARGETS.c.id == expired.c.id)
        .values(
            lease=TARGETS.c.lease + 1,
            lease_until=None,
            leased_by=None,
            next_attempt_at=case((is_early, TARGETS.c.next_attempt_at), else_=func.now()),
            prepare_at=case((is_early, func.now())),
            step_began_at=case((TARGETS.c.step_shows, func.now()), else_=TARGETS.c.step_began_at),
        )
        .returning(
            TARGETS.c.id,
            TARGETS.c.attempt_count + case((is_early, 1), else_=0),
            TARGETS.c.step,
            expired.c.step_began_at,
            TARGETS.c.step_shows,
            func.now(),
        )
    )
    return [Interrupted(*row) for row in await c.execute(freed)]


async def find_held(c: AsyncConnection, ids: Collection[UUID]) -> list[Interrupted]:
    """Those of some locked targets that a worker is preparing."""
    statement = select(
        TARGETS.c.id,
        TARGETS.c.attempt_count + 1,
        TARGETS.c.step,
        TARGETS.c.step_began_at,
        TARGETS.c.step_shows,
        func.clock_timestamp(),
    ).where(TARGETS.c.id.in_(ids), TARGETS.c.lease_until.is_not(None), TARGETS.c.status == TargetStatus.SCHEDULED)
    return [Interrupted(*row) for row in await c.execute(statement)]


def interruption_of(target: Interrupted, message: str) -> Attempt:
    """The ledger's line for a step whose end nobody will write: its worker is gone, or no longer wanted."""
    return Attempt(
        id=new_id(),
        target_id=target.target_id,
        number=target.attempt,
        step=target.step or "claim",
        started_at=target.step_began_at or target.freed_at,
        ended_at=target.freed_at,
        outcome=AttemptOutcome.INTERRUPTED,
        code=ErrorCode.OUTCOME_UNKNOWN if target.step_shows else None,
        message=message,
    )


async def insert_attempts(c: AsyncConnection, attempts: Iterable[Attempt]) -> None:
    """Add lines to the ledger."""
    rows = [ledger_line(attempt) for attempt in attempts]
    if rows:
        await c.execute(insert(ATTEMPTS), rows)


async def _write_held(
    c: AsyncConnection,
    claim: Claim,
    statement: Select[Any],
    values: Mapping[str, Any],
    done: Sequence[Attempt],
    **more: Any,
) -> bool:
    held = {"held_target": claim.target_id, "held_lease": claim.lease, "held_post": claim.post_id}
    told = {"lines": [ledger_line(attempt) for attempt in done], DELIVERY: claim.target_id.hex}
    new = {f"new_{name}": value for name, value in values.items()}
    return (await c.execute(statement, {**held, **told, **new, **more})).one_or_none() is not None


# Each is built once, with holes for what differs: to build one takes longer than to run it.


@cache
def _beginning(tells: bool) -> Select[Any]:
    held = _held(("checkpoint", "step", "step_shows")).values(
        step_began_at=func.clock_timestamp(),
        lease_until=func.clock_timestamp() + bindparam("lease_for", type_=Interval()),
    )
    return _fenced(held, tells=tells)


@lru_cache(maxsize=128)
def _releasing(
    names: tuple[str, ...], charged: bool, locks_post: bool, tells: bool, beside: Update | None
) -> Select[Any]:
    held = _held(names).values(lease_until=None, leased_by=None, lease=TARGETS.c.lease + 1)
    if not charged:
        held = held.values(attempt_count=func.greatest(TARGETS.c.attempt_count - 1, 0))
    if locks_post:
        # Joined, so that no target is touched before its post is locked. What another writer did while we waited for
        # that lock is seen: the lease is compared with the row as it is then.
        locked = select(POSTS.c.id).where(POSTS.c.id == bindparam("held_post")).with_for_update().cte("locked")
        held = held.where(TARGETS.c.post_id == locked.c.id)
    return _fenced(held, tells=tells, beside=beside)


def _held(names: tuple[str, ...]) -> Update:
    """New values for what is held: `new_<name>` for each of these columns."""
    is_held = (
        TARGETS.c.id == bindparam("held_target"),
        TARGETS.c.lease == bindparam("held_lease"),
        TARGETS.c.lease_until.is_not(None),
    )
    new = {name: bindparam(f"new_{name}", type_=TARGETS.c[name].type) for name in names}
    return update(TARGETS).where(*is_held).values(**new)


def _fenced(held: Update, *, tells: bool, beside: Update | None = None) -> Select[Any]:
    """The fenced update with the ledger, in one statement: where nothing is held, nothing is written."""
    fenced = held.returning(TARGETS.c.id).cte("held")
    wanted = select(fenced.c.id)
    if tells:
        lines = func.jsonb_to_recordset(bindparam("lines", type_=JSONB)).table_valued(
            *(column(name, ATTEMPTS.c[name].type) for name in LEDGER), name="lines"
        )
        told = lines.render_derived(with_types=True)
        of_held = select(*(told.c[name] for name in LEDGER)).where(told.c.target_id == fenced.c.id)
        lines_once = pg_insert(ATTEMPTS).from_select(LEDGER, of_held).on_conflict_do_nothing(index_elements=["id"])
        wanted = wanted.add_cte(lines_once.cte("ledger"))
    if beside is not None:
        wanted = wanted.add_cte(beside.where(exists(select(fenced.c.id))).cte("beside"))
    return wanted


def ledger_line(attempt: Attempt) -> dict[str, Any]:
    """A line as the ledger stores it."""
    return {name: getattr(attempt, name) for name in LEDGER}
