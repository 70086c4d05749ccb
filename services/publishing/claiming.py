"""Taking work: what is due is claimed, deferred, blocked or missed, and all of it told, in one transaction."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.errors import ErrorCode
from services.domain.limits import LimitReached, Window
from services.domain.posts import TargetStatus
from services.guards.quotas import Quotas
from services.publishing.endings import NO_WAIT
from services.publishing.watching import Watch
from services.queries.claims import Claim, DueTarget, claim_targets, lock_due, lock_lost, set_aside
from services.queries.states import settle_posts

Windows = Callable[[DueTarget], Sequence[Window]]
"""The windows that bind one publication: the person's hour, and what else the platform grants."""

Changes = Mapping[str, Any]

TOKEN_WAIT = timedelta(seconds=5)
"""A refresh is due already; so soon it is looked for again."""


class Claimer:
    """Claims due targets for one worker, each with its slot in every window that binds it."""

    def __init__(
        self,
        *,
        transactions: DatabaseTransactionService,
        quotas: Quotas,
        windows: Windows,
        now: Callable[[], datetime],
        lease_for: timedelta,
        missed_after: timedelta,
        watch: Watch | None = None,
    ) -> None:
        self._transactions = transactions
        self._quotas = quotas
        self._windows = windows
        self._now = now
        self._lease_for = lease_for
        self._missed_after = missed_after
        self._watch = watch

    async def claim_due(self, worker_id: UUID, *, limit: int) -> list[Claim]:
        """Up to `limit` targets that this worker now holds."""
        due: list[DueTarget] = []
        full: set[UUID] = set()

        async def claim(tx: Transaction) -> list[Claim]:
            nonlocal due, full
            c = tx.connection
            due, full = await lock_due(c, limit=limit), set()
            if not due:
                return []

            unfit = await self._set_unfit_aside(c, due)
            full = await self._set_full_aside(c, [target for target in due if target.id not in unfit])
            taken = [target.id for target in due if target.id not in unfit | full]
            claims = await claim_targets(c, taken, worker_id=worker_id, lease_for=self._lease_for)

            for _, event in await settle_posts(c, {target.post_id for target in due}):
                await tx.emit(event)
            return claims

        claims = await self._transactions.execute_in_transaction(claim)
        self._tell(due, full)
        return claims

    async def _set_unfit_aside(self, c: AsyncConnection, due: Sequence[DueTarget]) -> set[UUID]:
        """What must not go out now, whatever the quotas say; a slot of what was never sent is free again."""
        lost = await lock_lost(c, {target.account_id for target in due if not target.account_can_publish})
        aside = {
            target.id: changes
            for target in due
            if (changes := self._judge(target, is_lost=target.account_id in lost)) is not None
        }
        await set_aside(c, aside)
        sent = {target.id for target in due if target.is_in_doubt}
        if aside:
            await self._quotas.end(c, [target_id.hex for target_id in aside.keys() & sent])
            await self._quotas.give_back(c, [target_id.hex for target_id in aside.keys() - sent])
        return set(aside)

    async def _set_full_aside(self, c: AsyncConnection, ready: Sequence[DueTarget]) -> set[UUID]:
        """What finds no slot in one of its windows waits until there is one."""
        refused = await self._quotas.take_many(c, [(target.id.hex, self._windows(target)) for target in ready])
        aside = {target.id: _full(refused[target.id.hex]) for target in ready if target.id.hex in refused}
        await set_aside(c, aside)
        return set(aside)

    def _tell(self, due: Sequence[DueTarget], full: Collection[UUID]) -> None:
        if self._watch is None:
            return
        for target in due:
            self._watch.note_looked_at(target.platform, target.late_by)
            if target.id in full:
                self._watch.note_refused(target.platform)

    def _judge(self, target: DueTarget, *, is_lost: bool) -> Changes | None:
        """New values for a target that must not be claimed; None for one that may."""
        if target.is_in_doubt:
            return None if target.has_token else UNANSWERABLE
        if is_lost:
            return BLOCKED
        if target.awaits_token:
            return _deferral(ErrorCode.UNAVAILABLE, "The account's token is being renewed.", self._now() + TOKEN_WAIT)
        if not target.was_begun and self._now() - target.due_at > self._missed_after:
            return MISSED
        return None


BLOCKED: Changes = {
    "status": TargetStatus.BLOCKED,
    "next_attempt_at": None,
    "waiting_code": ErrorCode.RECONNECT_REQUIRED,
    "waiting_message": "The account has to be connected again first.",
    "waiting_until": None,
}
MISSED: Changes = {
    **NO_WAIT,
    "status": TargetStatus.MISSED,
    "next_attempt_at": None,
    "error_code": ErrorCode.MISSED,
    "error_message": "Its time passed while nothing could be sent; send it again or choose another time.",
    "error_retryable": True,
}
UNANSWERABLE: Changes = {
    **NO_WAIT,
    "status": TargetStatus.UNCONFIRMED,
    "next_attempt_at": None,
    "step_shows": False,
    "error_code": ErrorCode.OUTCOME_UNKNOWN,
    "error_message": "The account was disconnected before the platform could be asked what became of the post.",
    "error_retryable": True,
}


def _full(limit: LimitReached) -> Changes:
    return _deferral(ErrorCode.RATE_LIMITED, limit.as_error().message, limit.free_at)


def _deferral(code: ErrorCode, message: str, until: datetime) -> Changes:
    return {"next_attempt_at": until, "waiting_code": code, "waiting_message": message, "waiting_until": until}
