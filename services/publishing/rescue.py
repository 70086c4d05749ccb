"""Targets whose worker is gone: freed when their lease runs out, so that the next worker can ask and go on."""

from services.backends.transactions import DatabaseTransactionService, Transaction
from services.queries.leases import free_expired, insert_attempts, interruption_of

MESSAGE = "The worker is gone; whatever this step did is asked of the platform first."
BATCH = 100


async def rescue_targets(transactions: DatabaseTransactionService) -> int:
    """Free what nobody holds any more; gives how many targets there were."""

    async def rescue(tx: Transaction) -> int:
        freed = await free_expired(tx.connection, limit=BATCH)
        await insert_attempts(tx.connection, [interruption_of(target, MESSAGE) for target in freed])
        return len(freed)

    return await transactions.execute_in_transaction(rescue)
