"""Tokens are refreshed before they end, each by one worker only; what cannot be refreshed is told in time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from uuid import UUID

import structlog

from services.accounts.sealing import seal_tokens, token_place
from services.backends.secrets import SecretBox
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.accounts import EXPIRY_WARNINGS, AccountStatus, Platform, Tokens
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
"""A change of an account, in the caller's transaction."""


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
            return await connections.claim_expiring(tx.connection, platforms=margins, hold_for=HOLD_FOR, limit=BATCH)

        refreshed = 0
        while margins:
            claimed = await self._transactions.execute_in_transaction(claim)
            refreshed += sum(await asyncio.gather(*map(self._try_refresh, claimed)))
            if len(claimed) < BATCH:
                break
        await self._mark_expiries(margins)
        return refreshed

    async def _try_refresh(self, account: Refreshable) -> bool:
        """One account's trouble is not the others': it is held for a while, and then tried again."""
        try:
            return await self._refresh(account)
        except Exception:
            log.exception("account.refresh_failed", account=str(account.id))
            return False

    async def _refresh(self, account: Refreshable) -> bool:
        try:
            tokens = await self._authorizers[account.platform].refresh(self._opened(account))
        except AuthorizationFailed as refusal:
            is_dead = refusal.failure.kind in (FailureKind.RECONNECT, FailureKind.PERMISSION)
            log.warning("account.refresh_failed", account=str(account.id), code=refusal.code, is_dead=is_dead)
            if is_dead:
                await self._tell(account.user_id, lambda tx: _revoke(tx, account))
            return False
        sealed = seal_tokens(self._secrets, account.id, tokens.access, tokens.refresh)
        await self._tell(
            account.user_id,
            lambda tx: connections.save_tokens(tx.connection, account, sealed=sealed, expires_at=tokens.expires_at),
        )
        return True

    async def _mark_expiries(self, refreshed: Mapping[Platform, timedelta]) -> None:
        async def mark(tx: Transaction) -> None:
            platforms = list(refreshed)
            over = await connections.mark_expired(tx.connection, refreshed=platforms)
            warned = await connections.warn_expiring(tx.connection, days=EXPIRY_WARNINGS, refreshed=platforms)
            for owner in sorted({*over, *warned}):
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


async def _revoke(tx: Transaction, account: Refreshable) -> None:
    token = account.access_token
    await connections.refuse_token(tx.connection, account.id, token=token, status=AccountStatus.REVOKED)
