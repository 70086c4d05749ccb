"""What a restored backup cannot know: which of the targets that were due since then are out already.

Until people have been asked, a trigger refuses whoever would take a target: deploy/fence.sql puts it up.
"""

from uuid import UUID

from sqlalchemy import func, or_, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.errors import ErrorCode
from services.domain.posts import TargetStatus
from services.models import TARGETS
from services.queries.drafting import UNPREPARED

MESSAGE = "Crier was restored from a backup and cannot tell whether this post went out meanwhile."

_IS_FENCED = text("SELECT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'refuse_until_restored')")
_LIFT_FENCE = (
    text("DROP TRIGGER IF EXISTS refuse_until_restored ON post_targets"),
    text("DROP FUNCTION IF EXISTS refuse_until_restored()"),
)
_MOVING = (TargetStatus.SCHEDULED, TargetStatus.RETRYING, TargetStatus.PUBLISHING)


async def is_fenced(c: AsyncConnection) -> bool:
    """Whether the database was restored, and nothing of it may go out yet."""
    return bool(await c.scalar(_IS_FENCED))


async def lift_fence(c: AsyncConnection) -> None:
    """From this transaction's commit on, workers may take targets."""
    for statement in _LIFT_FENCE:
        await c.execute(statement)


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
