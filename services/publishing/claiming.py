"""Taking work: what is due is claimed, deferred, blocked or missed, and all of it told, in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.errors import ErrorCode
from services.domain.limits import LimitReached, Window
from services.domain.posts import TargetStatus
from services.guards.quotas import Quotas
from services.publishing.endings import NO_WAIT
from services.queries.claims import Claim, DueTarget, claim_targets, lock_due, set_aside
from services.queries.states import settle_posts

Windows = Callable[[DueTarget], Sequence[Window]]
"""The windows that bind one publication: the person's hour, and what else the platform grants."""


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
    ) -> None:
        self._transactions = transactions
        self._quotas = quotas
        self._windows = windows
        self._now = now
        self._lease_for = lease_for
        self._missed_after = missed_after

    async def claim_due(self, worker_id: UUID, *, limit: int) -> list[Claim]:
        """Up to `limit` targets that this worker now holds."""

        async def claim(tx: Transaction) -> list[Claim]:
            due = await lock_due(tx.connection, limit=limit)
            if not due:
                return []

            aside = {target.id: changes for target in due if (changes := self._judge(target)) is not None}
            ready = [target for target in due if target.id not in aside]
            requests = [(target.id.hex, self._windows(target)) for target in ready]
            refused = await self._quotas.take_many(tx.connection, requests)
            for target in ready:
                if target.id.hex in refused:
                    aside[target.id] = _deferral(refused[target.id.hex])

            taken = {target.id: target for target in ready if target.id not in aside}
            await set_aside(tx.connection, aside)
            claims = await claim_targets(tx.connection, taken, worker_id=worker_id, lease_for=self._lease_for)

            for _, event in await settle_posts(tx.connection, {target.post_id for target in due}):
                await tx.emit(event)
            return [replace(held, resumes=taken[held.target_id].was_begun) for held in claims]

        return await self._transactions.execute_in_transaction(claim)

    def _judge(self, target: DueTarget) -> Mapping[str, Any] | None:
        """New values for a target that must not be claimed; None for one that may."""
        if not target.account_can_publish:
            return {
                "status": TargetStatus.BLOCKED,
                "next_attempt_at": None,
                "waiting_code": ErrorCode.RECONNECT_REQUIRED,
                "waiting_message": "The account has to be connected again first.",
                "waiting_until": None,
            }
        if not target.was_begun and self._now() - target.due_at > self._missed_after:
            return {
                **NO_WAIT,
                "status": TargetStatus.MISSED,
                "next_attempt_at": None,
                "error_code": ErrorCode.MISSED,
                "error_message": "Its time passed while nothing could be sent; send it again or choose another time.",
                "error_retryable": True,
            }
        return None


def _deferral(limit: LimitReached) -> Mapping[str, Any]:
    return {
        "next_attempt_at": limit.free_at,
        "waiting_code": ErrorCode.RATE_LIMITED,
        "waiting_message": limit.as_error().message,
        "waiting_until": limit.free_at,
    }
