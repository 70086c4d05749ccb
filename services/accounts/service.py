"""The use cases of accounts: an OAuth round trip begun and ended, and an account let go."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from services.accounts.sealing import seal_tokens
from services.backends.secrets import SecretBox
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.accounts import Account, AccountStatus, ConnectedProfile, Platform
from services.domain.errors import ErrorCode, Unavailable, refuse
from services.domain.events import Event
from services.domain.viewers import Viewer
from services.providers.base import Authorizer
from services.queries import connections
from services.queries.connections import OAuthState
from services.queries.states import account_tag, settle_posts

STATE_LIFE = timedelta(minutes=15)
"""So long a person may take to say yes."""


class AccountService:
    """Connects accounts through each platform's own OAuth."""

    def __init__(
        self,
        *,
        transactions: DatabaseTransactionService,
        authorizers: Mapping[Platform, Authorizer],
        secrets: SecretBox,
        redirect_uri: Callable[[Platform], str],
        now: Callable[[], datetime],
    ) -> None:
        self._transactions = transactions
        self._authorizers = authorizers
        self._secrets = secrets
        self._redirect_uri = redirect_uri
        self._now = now

    async def connect_account(self, viewer: Viewer, platform: Platform) -> str:
        """The link that the person opens to say yes. Raises Unavailable where the platform is not set up here."""
        authorizer = self._authorizer(platform)
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        state_hash = _hash(state)
        sealed = self._secrets.seal(verifier, place=_verifier_place(state_hash))

        async def remember(tx: Transaction) -> None:
            await connections.insert_state(
                tx.connection,
                state_hash=state_hash,
                state=OAuthState(viewer.user.id, platform, sealed),
                expires_at=self._now() + STATE_LIFE,
            )

        await self._transactions.execute_in_transaction(remember)

        return authorizer.authorize_url(
            redirect_uri=self._redirect_uri(platform), state=state, code_challenge=_challenge(verifier)
        )

    async def finish_connecting(self, platform: Platform, *, state: str, code: str) -> list[Account]:
        """The accounts that the person's yes opened, stored and ready; what waited for them goes on.

        Raises Refused for a state that is unknown, used or too old, AuthorizationFailed for a code that the platform
        does not take.
        """
        authorizer, state_hash = self._authorizer(platform), _hash(state)

        async def take(tx: Transaction) -> OAuthState:
            taken = await connections.take_state(tx.connection, state_hash=state_hash, platform=platform)
            if taken is None:
                raise refuse(ErrorCode.VALIDATION_FAILED, "This link was used before or is too old.", "state")
            return taken

        begun = await self._transactions.execute_in_transaction(take)
        verifier = self._secrets.open(begun.code_verifier, place=_verifier_place(state_hash))
        profiles = await authorizer.exchange(
            redirect_uri=self._redirect_uri(platform), code=code, code_verifier=verifier
        )
        return await self.store_profiles(begun.user_id, platform, profiles)

    async def store_profiles(
        self, owner: UUID, platform: Platform, profiles: Sequence[ConnectedProfile]
    ) -> list[Account]:
        """Connect these accounts for `owner`, or connect them again: their blocked targets go on."""

        async def store(tx: Transaction) -> list[Account]:
            # In one order for everybody: two ends at once would wait for each other.
            in_order = sorted(profiles, key=lambda profile: profile.external_id)
            accounts = [await self._store(tx, owner, platform, profile) for profile in in_order]
            for account in accounts:
                await _unblock(tx, account.id)
            await tx.emit(Event(owner, "ACCOUNTS_CHANGED", {}, (account_tag(owner),)))
            return accounts

        return await self._transactions.execute_in_transaction(store)

    async def disconnect_account(self, viewer: Viewer, account_id: UUID) -> Account:
        """Forget the account's tokens; what is scheduled for it will wait until it is connected again."""
        owner = viewer.user.id

        async def disconnect(tx: Transaction) -> Account:
            account = await connections.forget_tokens(tx.connection, account_id, owner=owner)
            if account is None:
                raise refuse(ErrorCode.NOT_FOUND, "You have no such account.", "id")
            await tx.emit(Event(owner, "ACCOUNTS_CHANGED", {}, (account_tag(owner),)))
            return account

        return await self._transactions.execute_in_transaction(disconnect)

    async def _store(self, tx: Transaction, owner: UUID, platform: Platform, profile: ConnectedProfile) -> Account:
        account_id = await connections.reserve_account(
            tx.connection, owner=owner, platform=platform, external_id=profile.external_id
        )
        return await connections.save_account(
            tx.connection,
            account_id=account_id,
            profile=profile,
            status=AccountStatus.CONNECTED,
            sealed=seal_tokens(self._secrets, account_id, profile.tokens.access, profile.tokens.refresh),
        )

    def _authorizer(self, platform: Platform) -> Authorizer:
        authorizer = self._authorizers.get(platform)
        if authorizer is None:
            raise Unavailable(f"{platform.label} is not set up on this server.")
        return authorizer


async def _unblock(tx: Transaction, account_id: UUID) -> None:
    post_ids = await connections.blocked_posts(tx.connection, account_id)
    if not post_ids:
        return
    await connections.unblock_targets(tx.connection, account_id)
    for _, event in await settle_posts(tx.connection, post_ids):
        await tx.emit(event)


def _hash(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()


def _verifier_place(state_hash: bytes) -> str:
    return f"oauth_states|{state_hash.hex()}|code_verifier"


def _challenge(verifier: str) -> str:
    """The S256 code challenge of RFC 7636."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
