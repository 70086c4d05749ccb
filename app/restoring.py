"""What comes after a restored backup and before the first process that serves or publishes."""

from app.processes import endpoints_of, open_migrated
from app.settings import Settings
from services.backends.redis import RedisGate
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.queries.restoring import doubt_due, lift_fence
from services.queries.states import settle_posts

OURS = "crier:*"


async def follow_restore(settings: Settings) -> int:
    """Forget what Redis holds of a later time, and leave to people what may be out already; gives how many posts.

    Raises MigrationRefused where the backup is of an older release and was not migrated yet.
    """
    with endpoints_of(settings) as endpoints:
        async with open_migrated(settings, endpoints) as backends:
            await forget_redis(backends.gate)
            return await leave_to_people(backends.transactions)


async def forget_redis(gate: RedisGate) -> None:
    """Delete all that Crier keeps there. Raises RedisAway: what cannot be deleted would be shown."""

    async def delete(client: object) -> None:
        async for key in gate.client.scan_iter(match=OURS, count=1_000):
            await gate.client.unlink(key)

    await gate.run(delete)


async def leave_to_people(transactions: DatabaseTransactionService) -> int:
    """Nothing that was due since the backup is sent again unasked; what comes due from now on may go out."""

    async def doubt(tx: Transaction) -> int:
        await lift_fence(tx.connection)
        posts = await doubt_due(tx.connection)
        for _, event in await settle_posts(tx.connection, set(posts)):
            await tx.emit(event)
        return len(posts)

    return await transactions.execute_in_transaction(doubt)
