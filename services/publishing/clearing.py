"""What was prepared for a post that was canceled or changed is taken away at its platform: as often as it needs, within
reason, and told in the ledger. Nobody sees any of it meanwhile.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from services.backends.secrets import SecretBox
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.accounts import Platform
from services.domain.breakers import judge_call
from services.domain.errors import CircuitOpen, ErrorCode
from services.domain.ids import new_id
from services.domain.posts import Attempt, AttemptOutcome
from services.domain.publishing import Discarded, Failure, FailureKind, Rejected
from services.guards.circuit_breaker import CircuitBreakerService
from services.providers.base import Provider
from services.publishing.endings import circuit_wait, words_of
from services.publishing.retry import RetryPolicy
from services.publishing.watching import Watch
from services.queries.leftovers import (
    Leftover,
    claim_leftovers,
    drop_leftover,
    put_off_leftover,
    tell_of_leftover,
)

log = structlog.get_logger(__name__)

DISCARD = "discard"
"""The ledger's name for it."""
BATCH = 5
"""So few at a time, for posts that are due go first."""
HOLD = timedelta(minutes=5)
"""Longer than taking one away can last; whoever died over it is replaced afterwards."""

DISCONNECTED = Rejected(
    Failure(
        FailureKind.RECONNECT,
        ErrorCode.RECONNECT_REQUIRED,
        "The account is disconnected: what was prepared stays at the platform, where nobody sees it.",
    )
)


class Clearer:
    """Takes leftovers away."""

    def __init__(
        self,
        *,
        transactions: DatabaseTransactionService,
        providers: Mapping[Platform, Provider],
        breakers: CircuitBreakerService,
        secrets: SecretBox,
        retry: RetryPolicy,
        random: Callable[[], float],
        now: Callable[[], datetime],
        watch: Watch | None = None,
        hold_for: timedelta = HOLD,
    ) -> None:
        self._transactions = transactions
        self._providers = providers
        self._breakers = breakers
        self._secrets = secrets
        self._retry = retry
        self._random = random
        self._now = now
        self._watch = watch
        self.hold_for = hold_for

    async def clear_due(self) -> int:
        """Try all whose time has come, up to a batch; gives how many there were."""

        async def claim(tx: Transaction) -> list[Leftover]:
            return await claim_leftovers(tx.connection, hold_for=self.hold_for, limit=BATCH)

        found = await self._transactions.execute_in_transaction(claim)
        for failure in await asyncio.gather(*map(self._clear, found), return_exceptions=True):
            if isinstance(failure, BaseException):
                log.error("leftover.failed", exc_info=failure)
        return len(found)

    async def _clear(self, leftover: Leftover) -> None:
        began_at = self._now()
        # Who tried so often and never came back with an answer was ended by it, each time.
        outcome = None if leftover.tries > self._retry.most else await self._discard(leftover)
        if isinstance(outcome, CircuitOpen):
            await self._put_off(leftover, until=self._now() + circuit_wait(outcome), counts=False)
            return

        line = None if outcome is None else self._line(leftover, outcome, began_at)
        delay = None
        if isinstance(outcome, Rejected) and outcome is not DISCONNECTED:
            asked = outcome.failure.retry_after
            delay = self._retry.delay(leftover.tries, asked=asked, random=self._random)

        async def record(tx: Transaction) -> bool:
            if isinstance(outcome, Rejected) and delay is not None:
                until = self._now() + delay
                await put_off_leftover(tx.connection, leftover, until=until, checkpoint=outcome.checkpoint, counts=True)
            else:
                await drop_leftover(tx.connection, leftover)
            return line is not None and await tell_of_leftover(tx.connection, line)

        if await self._transactions.execute_in_transaction(record) and line is not None and self._watch is not None:
            self._watch.note_attempt(leftover.platform, line)

    async def _discard(self, leftover: Leftover) -> Discarded | Rejected | CircuitOpen | None:
        if leftover.sealed_token is None:
            return DISCONNECTED
        place = f"accounts|{leftover.account_id}|access_token"
        token = self._secrets.open(leftover.sealed_token, place=place)
        provider = self._providers[leftover.platform]

        async def act() -> Discarded | Rejected | None:
            return await provider.discard(leftover.checkpoint, token=token)

        try:
            return await self._breakers.execute(leftover.platform.breaker, act, judge=judge_call)
        except CircuitOpen as refusal:
            return refusal

    async def _put_off(self, leftover: Leftover, *, until: datetime, counts: bool) -> None:
        async def put_off(tx: Transaction) -> None:
            await put_off_leftover(tx.connection, leftover, until=until, checkpoint=leftover.checkpoint, counts=counts)

        await self._transactions.execute_in_transaction(put_off)

    def _line(self, leftover: Leftover, outcome: Discarded | Rejected, began_at: datetime) -> Attempt:
        failure = outcome.failure if isinstance(outcome, Rejected) else None
        return Attempt(
            id=new_id(),
            target_id=leftover.target_id,
            number=leftover.attempt,
            step=DISCARD,
            started_at=began_at,
            ended_at=self._now(),
            outcome=AttemptOutcome.SUCCEEDED if failure is None else AttemptOutcome.FAILED,
            code=None if failure is None else failure.code,
            message=outcome.message if isinstance(outcome, Discarded) else words_of(outcome.failure),
        )
