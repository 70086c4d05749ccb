"""Writing down what a worker does with a target: every word is one transaction, under the target's lease."""

import asyncio
import time
from datetime import timedelta

from services.backends.transactions import DatabaseTransactionService, Transaction, Work
from services.domain.accounts import AccountStatus
from services.domain.errors import Overloaded, TimedOut, Unavailable
from services.domain.events import Event
from services.guards.quotas import Quotas
from services.publishing.endings import Ending, Endings, Slot
from services.publishing.runs import Run
from services.queries.claims import Claim
from services.queries.connections import refuse_token
from services.queries.leases import begin_step, release_target
from services.queries.leftovers import leave_unsaved
from services.queries.states import account_tag, settle_post

_INSISTS_FOR = 10.0
"""Seconds for which a word is tried to be written. After that a step is not begun; an end is left to whoever finds that
the lease has run out, and asks the platform."""
_ASKS_AGAIN = 0.2


class Recorder:
    """All that the publisher knows of the database. False says that the lease is lost, and nothing was written."""

    def __init__(
        self,
        *,
        transactions: DatabaseTransactionService,
        quotas: Quotas,
        endings: Endings,
        lease_for: timedelta,
    ) -> None:
        self._transactions = transactions
        self._quotas = quotas
        self._endings = endings
        self._lease_for = lease_for

    async def begin(self, run: Run) -> bool:
        """The step that the run is about to do, where it starts from, and the ledger of those before it."""

        async def begin(tx: Transaction) -> bool:
            return await begin_step(
                tx.connection,
                run.claim,
                step=run.step.name,
                shows=run.step.shows,
                checkpoint=run.delivery.checkpoint,
                lease_for=self._lease_for,
                done=run.unwritten,
            )

        is_held = await self._insist(run, begin)
        if is_held:
            run.saved = run.delivery.checkpoint
        return is_held

    async def let_go(self, run: Run, ending: Ending) -> bool:
        """The target's new state, its ledger, its quota slot and the event that tells of it."""
        claim = run.claim

        async def record(tx: Transaction) -> bool:
            c = tx.connection
            changes = ending.changes
            is_current = ending.account is None or await self._refuse_token(tx, claim, ending.account)
            if ending.is_told and not is_current:
                changes = self._endings.reconnected(changes)
            is_held = await release_target(
                c,
                claim,
                done=run.unwritten,
                charged=ending.is_charged,
                locks_post=ending.is_told,
                beside=self._quotas.ending if ending.slot is Slot.ENDED else None,
                **changes,
            )
            if not is_held:
                return False
            if ending.slot is Slot.GIVEN_BACK:
                await self._quotas.give_back(c, [claim.target_id.hex])
            if ending.is_told:
                _, event = await settle_post(c, claim.post_id)
                await tx.emit(event)
            return True

        return await self._insist(run, record)

    async def leave_unsaved(self, run: Run) -> None:
        """The lease is lost: what the run has made at the platform beyond what is stored will be taken away there."""
        unsaved = run.unsaved
        if not unsaved:
            return

        async def leave(tx: Transaction) -> None:
            await leave_unsaved(tx.connection, run.claim, unsaved)

        await self._transactions.execute_in_transaction(leave)

    async def _insist(self, run: Run, record: Work[bool]) -> bool:
        """What became of the post is known here alone: a database that is busy, or away for a moment, is asked again.
        The lease makes that safe, also where a commit took place whose answer was lost: who let go of it finds it gone,
        and a line of the ledger is not written twice."""
        give_up_at = time.monotonic() + min(_INSISTS_FOR, self._lease_for.total_seconds() / 2)
        while True:
            try:
                return await self._transactions.execute_in_transaction(record)
            except BaseException as trouble:
                run.saved = run.delivery.checkpoint  # or it may be
                if not isinstance(trouble, Overloaded | TimedOut | Unavailable) or time.monotonic() >= give_up_at:
                    raise
            await asyncio.sleep(_ASKS_AGAIN)

    async def _refuse_token(self, tx: Transaction, claim: Claim, status: AccountStatus) -> bool:
        """Whether the refused token is still the account's; then the account is told as what it is now."""
        is_current = await refuse_token(tx.connection, claim.account_id, token=claim.sealed_token, status=status)
        if is_current:
            await tx.emit(Event(claim.user_id, "ACCOUNTS_CHANGED", {}, (account_tag(claim.user_id),)))
        return is_current
