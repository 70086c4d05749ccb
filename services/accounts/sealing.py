"""Platform tokens at rest: each is bound to its row and column, and can be sealed anew with a newer key."""

from uuid import UUID

from services.backends.secrets import SecretBox
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.queries import connections

FIRST_KEY = UUID(int=0)


def token_place(account_id: UUID, column: str) -> str:
    """Where a sealed token belongs; it opens nowhere else."""
    return f"accounts|{account_id}|{column}"


def seal_tokens(box: SecretBox, account_id: UUID, access: str, refresh: str | None) -> dict[str, bytes | None]:
    """Both tokens as they are stored."""
    return {
        "access_token": box.seal(access, place=token_place(account_id, "access_token")),
        "refresh_token": None if refresh is None else box.seal(refresh, place=token_place(account_id, "refresh_token")),
    }


async def reseal_tokens(transactions: DatabaseTransactionService, box: SecretBox, *, batch: int) -> int:
    """Seal every token with the first key that another key sealed, `batch` accounts a transaction; gives how many."""
    resealed, after = 0, FIRST_KEY
    while True:

        async def reseal(tx: Transaction, after: UUID = after) -> tuple[int, UUID | None]:
            stored = await connections.lock_tokens(tx.connection, after=after, limit=batch)
            count = 0
            for account_id, tokens in stored.items():
                fresh = {
                    column: box.seal(box.open(blob, place=place), place=place)
                    for column, blob in tokens.items()
                    if blob is not None and box.needs_rotation(blob)
                    for place in [token_place(account_id, column)]
                }
                if fresh:
                    await connections.store_tokens(tx.connection, account_id, fresh)
                count += len(fresh)
            return count, max(stored, default=None)

        count, last = await transactions.execute_in_transaction(reseal)
        resealed += count
        if last is None:
            return resealed
        after = last
