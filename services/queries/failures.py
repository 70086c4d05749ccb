"""What failed: counted by reason for operators to look at, and found to be sent again. Both mean the same targets."""

from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.accounts import Platform
from services.domain.changes import FailedFilter
from services.domain.errors import ErrorCode
from services.domain.operations import FailureGroup
from services.domain.posts import TargetStatus
from services.models import ATTEMPTS, TARGETS


async def group_failures(c: AsyncConnection, wanted: FailedFilter) -> tuple[FailureGroup, ...]:
    """The failed targets that an operator means, by reason and platform, the most frequent first.

    Reads the index entries of what has failed and, for each, the end of its own ledger: as much work as there are
    failures, however many posts there are. Of 100,000 failures, those of one day take 0.2 s and all of them 2.5 s.
    """
    ended_at = select(func.max(ATTEMPTS.c.ended_at)).where(ATTEMPTS.c.target_id == TARGETS.c.id).scalar_subquery()
    failed = (
        select(TARGETS.c.error_code, TARGETS.c.platform, TARGETS.c.error_message, ended_at.label("ended_at"))
        .where(TARGETS.c.error_code.is_not(None), *_meant_by(wanted))
        .subquery()
    )
    latest_first = aggregate_order_by(failed.c.error_message, failed.c.ended_at.desc().nulls_last())
    statement = (
        select(
            failed.c.error_code,
            failed.c.platform,
            func.count().label("count"),
            func.max(failed.c.ended_at).label("last_failed_at"),
            func.array_agg(latest_first)[1].label("message"),
        )
        .group_by(failed.c.error_code, failed.c.platform)
        .order_by(func.count().desc(), failed.c.error_code, failed.c.platform)
    )
    return tuple(
        FailureGroup(ErrorCode(row.error_code), Platform(row.platform), row[2], row.last_failed_at, row.message or "")
        for row in await c.execute(statement)
    )


async def failed_targets(
    c: AsyncConnection, wanted: FailedFilter, *, after: UUID, limit: int
) -> dict[UUID, list[UUID]]:
    """The failed targets that an operator means, by post, for at most `limit` posts beyond `after`; not locked, so some
    may have moved on by the time their post is."""
    statement = (
        select(TARGETS.c.post_id, func.array_agg(TARGETS.c.id).label("ids"))
        .where(TARGETS.c.post_id > after, *_meant_by(wanted))
        .group_by(TARGETS.c.post_id)
        .order_by(TARGETS.c.post_id)
        .limit(limit)
    )
    return {row.post_id: row.ids for row in await c.execute(statement)}


def _meant_by(wanted: FailedFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [TARGETS.c.status == TargetStatus.FAILED]
    if wanted.platforms is not None:
        conditions.append(TARGETS.c.platform.in_(wanted.platforms))
    if wanted.codes is not None:
        conditions.append(TARGETS.c.error_code.in_(wanted.codes))
    if wanted.user_id is not None:
        conditions.append(TARGETS.c.user_id == wanted.user_id)
    if wanted.failed_since is not None:
        # What failed has a last line in its ledger, and that is when.
        ended = exists().where(ATTEMPTS.c.target_id == TARGETS.c.id, ATTEMPTS.c.ended_at >= wanted.failed_since)
        conditions.append(ended)
    if wanted.failed_before is not None:
        tried = exists().where(ATTEMPTS.c.target_id == TARGETS.c.id, ATTEMPTS.c.ended_at >= wanted.failed_before)
        conditions.append(~tried)
    return conditions
