"""What failed, sent again for operators: by cause, all of it, in batches."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.changes import FailedFilter
from services.domain.edits import targets_in
from services.domain.ids import new_id
from services.domain.posts import TargetStatus
from services.domain.viewers import Viewer
from services.posts.rewriting import Rewriter
from services.queries import failures
from services.queries.keys import Wish, find_first_use, find_fulfilled
from services.queries.states import lock_state, settle_post

RETRY_BATCH = 200
FIRST_POST = UUID(int=0)


class FailedPosts:
    """Sends failed targets again, whosever they are."""

    def __init__(
        self, *, transactions: DatabaseTransactionService, rewriter: Rewriter, now: Callable[[], datetime]
    ) -> None:
        self._transactions = transactions
        self._rewriter = rewriter
        self._now = now

    async def retry_failed(self, operator: Viewer, wanted: FailedFilter, *, idempotency_key: str | None = None) -> int:
        """Send every failed target again that the filter means; gives how many this call has sent.

        The same key and filter again goes on where an earlier call broke off, and sends nothing that has failed since.
        """
        if idempotency_key is not None:
            wish = Wish("retryFailed", idempotency_key, wanted)
            wanted = replace(wanted, failed_before=await self._first_use(operator, wish))

        retried, after = 0, FIRST_POST
        while True:
            count, last = await self._retry_batch(wanted, after)
            if last is None:
                return retried
            retried, after = retried + count, last

    async def _retry_batch(self, wanted: FailedFilter, after: UUID) -> tuple[int, UUID | None]:
        """How many were sent, and the last post that was looked at; None: there was none."""

        async def retry(tx: Transaction) -> tuple[int, UUID | None]:
            batch = await failures.failed_targets(tx.connection, wanted, after=after, limit=RETRY_BATCH)
            count = 0
            for post_id, target_ids in batch.items():
                locked = await lock_state(tx.connection, post_id, owner=None)
                # Meanwhile its person may have sent it again, or a worker may hold it already.
                failed = [] if locked is None else targets_in(locked.state, {TargetStatus.FAILED})
                targets = [target for target in failed if target.id in target_ids]
                if targets:
                    await self._rewriter.send_again(tx.connection, targets, at=self._now())
                    _, event = await settle_post(tx.connection, post_id)
                    await tx.emit(event)
                count += len(targets)
            return count, next(reversed(batch), None)

        return await self._transactions.execute_in_transaction(retry)

    async def _first_use(self, operator: Viewer, wish: Wish) -> datetime:
        async def use(tx: Transaction) -> datetime:
            await find_fulfilled(tx.connection, operator.user.id, wish, object_id=new_id())
            return await find_first_use(tx.connection, operator.user.id, wish)

        return await self._transactions.execute_in_transaction(use)
