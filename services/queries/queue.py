"""What operators read: where targets stand, who works on them, and who did what."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.errors import ErrorCode
from services.domain.ids import new_id
from services.domain.operations import AuditEntry, QueueStats, WorkerInfo
from services.domain.pages import Page, PageRequest, Place, cut_page
from services.domain.posts import TargetStatus
from services.models import AUDIT_LOG, TARGETS, WORKERS
from services.queries.keyset import Keyset

OPEN_STATES = (
    TargetStatus.SCHEDULED,
    TargetStatus.PUBLISHING,
    TargetStatus.RETRYING,
    TargetStatus.BLOCKED,
    TargetStatus.UNCONFIRMED,
)

NEWEST_FIRST = Keyset(AUDIT_LOG.c.id, None, True, lambda row: Place(row.id))


async def read_queue(c: AsyncConnection) -> QueueStats:
    """The queue at this moment, in one statement over the rows that are still open."""
    status = TARGETS.c.status
    is_due = TARGETS.c.next_attempt_at <= func.now()
    lateness = func.extract("epoch", func.now() - func.min(TARGETS.c.next_attempt_at).filter(is_due))
    statement = select(
        func.count().filter(is_due).label("due"),
        *(func.count().filter(status == state).label(state.value.lower()) for state in OPEN_STATES),
        func.min(TARGETS.c.next_attempt_at).filter(is_due).label("oldest_due_at"),
        func.coalesce(lateness, 0).label("lateness_seconds"),
        func.now().label("as_of"),
    ).where(status.in_(OPEN_STATES))
    row = (await c.execute(statement)).one()
    return QueueStats(**{**row._mapping, "lateness_seconds": float(row.lateness_seconds)})


async def count_waiting(c: AsyncConnection) -> dict[ErrorCode, int]:
    """How many open targets are held back, by the reason they show."""
    statement = (
        select(TARGETS.c.waiting_code, func.count().label("targets"))
        .where(TARGETS.c.status.in_(OPEN_STATES), TARGETS.c.waiting_code.is_not(None))
        .group_by(TARGETS.c.waiting_code)
    )
    return {ErrorCode(row.waiting_code): row.targets for row in await c.execute(statement)}


async def list_workers(c: AsyncConnection) -> tuple[WorkerInfo, ...]:
    """The workers that gave a sign of life within the last hour, the oldest first."""
    statement = (
        select(WORKERS, func.now().label("as_of"))
        .where(WORKERS.c.last_beat_at > func.now() - timedelta(hours=1))
        .order_by(WORKERS.c.id)
    )
    return tuple(
        WorkerInfo(row.id, row.started_at, row.last_beat_at, row.publishing, row.as_of)
        for row in await c.execute(statement)
    )


async def beat(c: AsyncConnection, *, worker_id: UUID, host: str, publishing: int) -> None:
    """A worker's sign of life, and the number of targets it holds."""
    values = {"id": worker_id, "host": host, "publishing": publishing}
    alive = {"last_beat_at": func.now(), "publishing": publishing}
    await c.execute(upsert(WORKERS).values(values).on_conflict_do_update(index_elements=["id"], set_=alive))


async def remove_worker(c: AsyncConnection, worker_id: UUID) -> None:
    """A worker that ended in good order; those that did not are forgotten after a day."""
    silent = WORKERS.c.last_beat_at < func.now() - timedelta(days=1)
    await c.execute(delete(WORKERS).where((WORKERS.c.id == worker_id) | silent))


async def insert_audit(
    c: AsyncConnection, *, actor: UUID, action: str, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Write down what an operator did."""
    values = {"id": new_id(), "actor_id": actor, "action": action, "subject": subject, "detail": dict(detail or {})}
    await c.execute(insert(AUDIT_LOG).values(values))


async def page_audit_log(c: AsyncConnection, *, page: PageRequest) -> Page[AuditEntry]:
    """One page of what operators did, the newest first."""
    rows: list[Any] = list((await c.execute(NEWEST_FIRST.apply(select(AUDIT_LOG), page))).all())
    cut = cut_page(rows, page, NEWEST_FIRST.place)
    nodes = tuple(AuditEntry(**row._mapping) for row in cut.nodes)
    return Page(nodes, cut.cursors, cut.has_next, cut.has_previous)


async def count_audit_log(c: AsyncConnection) -> int:
    """How much operators ever did."""
    return (await c.execute(select(func.count()).select_from(AUDIT_LOG))).scalar_one()
