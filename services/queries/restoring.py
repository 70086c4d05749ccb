"""What a restored backup cannot know: which of the targets that were due since then are out already."""

from uuid import UUID

from sqlalchemy import func, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.errors import ErrorCode
from services.domain.posts import TargetStatus
from services.models import TARGETS
from services.queries.drafting import UNPREPARED

MESSAGE = "Crier was restored from a backup and cannot tell whether this post went out meanwhile."

_MOVING = (TargetStatus.SCHEDULED, TargetStatus.RETRYING, TargetStatus.PUBLISHING)


async def doubt_due(c: AsyncConnection) -> list[UUID]:
    """Put everything whose time has come, or that a worker held, before its person; gives the posts. For a database on
    which nothing else runs."""
    was_sent = or_(TARGETS.c.next_attempt_at <= func.now(), TARGETS.c.status == TargetStatus.PUBLISHING)
    doubted = (
        update(TARGETS)
        .where(TARGETS.c.status.in_(_MOVING), was_sent)
        .values(
            **UNPREPARED,
            status=TargetStatus.UNCONFIRMED,
            next_attempt_at=None,
            lease=TARGETS.c.lease + 1,
            error_code=ErrorCode.OUTCOME_UNKNOWN,
            error_message=MESSAGE,
            error_retryable=True,
        )
        .returning(TARGETS.c.post_id)
    )
    return sorted(set((await c.execute(doubted)).scalars()))
