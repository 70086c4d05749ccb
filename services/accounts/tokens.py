"""Tokens are refreshed before they end, each by one worker only; what cannot be refreshed is told in time."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from uuid import UUID

import structlog

from services.accounts.sealing import seal_tokens, token_place
from services.backends.secrets import SecretBox
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.accounts import EXPIRY_WARNING, AccountStatus, Platform, Tokens
from services.domain.events import Event
from services.domain.publishing import FailureKind
from services.providers.base import AuthorizationFailed, Authorizer
from services.queries import connections
from services.queries.connections import Refreshable
from services.queries.states import account_tag

log = structlog.get_logger(__name__)

MARGINS: Mapping[Platform, timedelta] = {
    Platform.INSTAGRAM: timedelta(days=7),
    Platform.YOUTUBE: timedelta(minutes=10),
}
"""How long before its end a token is refreshed: 60-day tokens a week, 1-hour tokens ten minutes. Facebook's have no
refresh; their people are warned."""

HOLD_FOR = timedelta(minutes=2)
"""A refresh takes less; an account whose worker died is free again after this."""

BATCH = 20

Write = Callable[[Transaction], Awaitable[None]]


class TokenKeeper:
    """A worker's periodic duty towards tokens."""

    def __init__(
        self,
        *,
        transactions: DatabaseTransactionService,
        authorizers: Mapping[Platform, Authorizer],
        secrets: SecretBox,
    ) -> None:
        self._transactions = transactions
        self._authorizers = authorizers
        self._secrets = secrets

    async def refresh_due(self) -> int:
        """Refresh what ends soon, then mark what ends all the same; gives how many accounts were refreshed."""
        margins = {platform: margin for platform, margin in MARGINS.items() if platform in self._authorizers}

        async def claim(tx: Transaction) -> list[Refreshable]:
            if not margins:
                return []
            return await connections.claim_expiring(tx.connection, platforms=margins, hold_for=HOLD_FOR, limit=BATCH)

        claimed = await self._transactions.execute_in_transaction(claim)
        refreshed = [await self._refresh(account) for account in claimed]
        await self._mark_expiries(margins)
        return sum(refreshed)

    async def _refresh(self, account: Refreshable) -> bool:
        try:
            tokens = await self._authorizers[account.platform].refresh(self._opened(account))
        except AuthorizationFailed as refusal:
            is_dead = refusal.failure.kind in (FailureKind.RECONNECT, FailureKind.PERMISSION)
            log.warning("account.refresh_failed", account=str(account.id), code=refusal.code, is_dead=is_dead)
            if is_dead:
                await self._tell(account.user_id, lambda tx: _revoke(tx, account.id))
            return False
        sealed = seal_tokens(self._secrets, account.id, tokens.access, tokens.refresh)
        await self._tell(
            account.user_id,
            lambda tx: connections.save_tokens(tx.connection, account.id, sealed=sealed, expires_at=tokens.expires_at),
        )
        return True

    async def _mark_expiries(self, refreshed: Mapping[Platform, timedelta]) -> None:
        async def mark(tx: Transaction) -> None:
            owners = await connections.mark_expiries(
                tx.connection, warn_before=EXPIRY_WARNING, refreshed=list(refreshed)
            )
            for owner in owners:
                await tx.emit(Event(owner, "ACCOUNTS_CHANGED", {}, (account_tag(owner),)))

        await self._transactions.execute_in_transaction(mark)

    async def _tell(self, owner: UUID, write: Write) -> None:
        async def change(tx: Transaction) -> None:
            await write(tx)
            await tx.emit(Event(owner, "ACCOUNTS_CHANGED", {}, (account_tag(owner),)))

        await self._transactions.execute_in_transaction(change)

    def _opened(self, account: Refreshable) -> Tokens:
        refresh = account.refresh_token
        return Tokens(
            access=self._secrets.open(account.access_token, place=token_place(account.id, "access_token")),
            refresh=None
            if refresh is None
            else self._secrets.open(refresh, place=token_place(account.id, "refresh_token")),
            expires_at=account.expires_at,
        )


async def _revoke(tx: Transaction, account_id: UUID) -> None:
    await connections.mark_account(tx.connection, account_id, AccountStatus.REVOKED)
