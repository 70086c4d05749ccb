"""Targets whose worker is gone: freed when their lease runs out, so that the next worker can ask and go on."""

from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.errors import ErrorCode
from services.domain.ids import new_id
from services.domain.posts import Attempt, AttemptOutcome
from services.queries.leases import Interrupted, free_expired, insert_attempts

MESSAGE = "The worker is gone; whatever this step did is asked of the platform first."
BATCH = 100


async def rescue_targets(transactions: DatabaseTransactionService) -> int:
    """Free what nobody holds any more; gives how many targets there were."""

    async def rescue(tx: Transaction) -> int:
        freed = await free_expired(tx.connection, limit=BATCH)
        await insert_attempts(tx.connection, [_interruption(target) for target in freed])
        return len(freed)

    return await transactions.execute_in_transaction(rescue)


def _interruption(target: Interrupted) -> Attempt:
    return Attempt(
        id=new_id(),
        target_id=target.target_id,
        number=target.attempt,
        step=target.step or "claim",
        started_at=target.step_began_at or target.freed_at,
        ended_at=target.freed_at,
        outcome=AttemptOutcome.INTERRUPTED,
        code=ErrorCode.OUTCOME_UNKNOWN if target.step_shows else None,
        message=MESSAGE,
    )
