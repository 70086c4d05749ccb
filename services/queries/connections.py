"""Writing accounts: connecting, refreshing, losing and leaving them. Tokens come sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.accounts import Account, AccountStatus, ConnectedProfile, Platform
from services.domain.ids import new_id
from services.domain.posts import TargetStatus
from services.models import ACCOUNTS, OAUTH_STATES, POSTS, TARGETS
from services.queries.accounts import PUBLIC
from services.queries.rows import account_from

USABLE = [status for status in AccountStatus if status.can_publish]


@dataclass(frozen=True, slots=True)
class OAuthState:
    """One round trip under way, as it was begun."""

    user_id: UUID
    platform: Platform
    code_verifier: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refreshable:
    """An account whose token ends soon, held by this worker for refreshing."""

    id: UUID
    user_id: UUID
    platform: Platform
    access_token: bytes = field(repr=False)
    refresh_token: bytes | None = field(repr=False)
    expires_at: datetime | None


async def insert_state(c: AsyncConnection, *, state_hash: bytes, state: OAuthState, expires_at: datetime) -> None:
    """Remember a round trip that begins, and forget those that were never finished."""
    await c.execute(delete(OAUTH_STATES).where(OAUTH_STATES.c.expires_at < func.now()))
    await c.execute(
        insert(OAUTH_STATES).values(
            state_hash=state_hash,
            user_id=state.user_id,
            platform=state.platform,
            code_verifier=state.code_verifier,
            expires_at=expires_at,
        )
    )


async def take_state(c: AsyncConnection, *, state_hash: bytes, platform: Platform) -> OAuthState | None:
    """The round trip that this state began, once; None for an unknown, used or late one."""
    statement = (
        delete(OAUTH_STATES)
        .where(
            OAUTH_STATES.c.state_hash == state_hash,
            OAUTH_STATES.c.platform == platform,
            OAUTH_STATES.c.expires_at >= func.now(),
        )
        .returning(OAUTH_STATES.c.user_id, OAUTH_STATES.c.code_verifier)
    )
    row = (await c.execute(statement)).one_or_none()
    return None if row is None else OAuthState(row.user_id, platform, row.code_verifier)


async def reserve_account(c: AsyncConnection, *, owner: UUID, platform: Platform, external_id: str) -> UUID:
    """The locked key under which this person has this account, from now on if not before. Of two that bring the same
    new account at once the second waits here, and finds it."""
    identity = {"user_id": owner, "platform": platform, "external_id": external_id}
    blank = {"id": new_id(), "handle": "", "display_name": "", "status": AccountStatus.DISCONNECTED}
    await c.execute(pg_insert(ACCOUNTS).values(**identity, **blank).on_conflict_do_nothing(index_elements=[*identity]))
    theirs = [ACCOUNTS.c[name] == value for name, value in identity.items()]
    found: UUID = (await c.execute(select(ACCOUNTS.c.id).where(*theirs).with_for_update())).scalar_one()
    return found


async def save_account(
    c: AsyncConnection,
    *,
    account_id: UUID,
    profile: ConnectedProfile,
    status: AccountStatus,
    sealed: Mapping[str, bytes | None],
) -> Account:
    """Store an account as the platform just described it; `sealed` holds both tokens."""
    values: dict[str, Any] = {
        "handle": profile.handle,
        "display_name": profile.display_name,
        "avatar_url": profile.avatar_url,
        "status": status,
        "expires_at": profile.tokens.expires_at,
        "expiry_warning": None,
        "scopes": list(profile.tokens.scopes),
        "updated_at": func.now(),
        **sealed,
    }
    statement = update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(**values)
    return account_from((await c.execute(statement.returning(*PUBLIC))).one()._mapping)


async def refuse_token(c: AsyncConnection, account_id: UUID, *, token: bytes, status: AccountStatus) -> bool:
    """The platform no longer takes this token: it has ended, and the account has a new status. False: the account has
    another token by now. Tokens stay for whoever asks the platform later."""
    statement = (
        update(ACCOUNTS)
        .where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.access_token == token)
        .values(status=status, expires_at=func.least(ACCOUNTS.c.expires_at, func.now()), updated_at=func.now())
    )
    return (await c.execute(statement)).rowcount == 1


async def forget_tokens(c: AsyncConnection, account_id: UUID, *, owner: UUID) -> Account | None:
    """Disconnect: the tokens are gone for good. None where the account is absent or somebody else's."""
    statement = (
        update(ACCOUNTS)
        .where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.user_id == owner)
        .values(
            status=AccountStatus.DISCONNECTED,
            access_token=None,
            refresh_token=None,
            expires_at=None,
            expiry_warning=None,
            updated_at=func.now(),
        )
        .returning(*PUBLIC)
    )
    row = (await c.execute(statement)).one_or_none()
    return None if row is None else account_from(row._mapping)


async def blocked_posts(c: AsyncConnection, account_id: UUID) -> list[UUID]:
    """Posts that wait for this account to be connected again, locked in the order of their ids."""
    waiting = select(TARGETS.c.post_id).where(
        TARGETS.c.account_id == account_id, TARGETS.c.status == TargetStatus.BLOCKED
    )
    statement = select(POSTS.c.id).where(POSTS.c.id.in_(waiting)).order_by(POSTS.c.id).with_for_update()
    return list((await c.execute(statement)).scalars())


async def unblock_targets(c: AsyncConnection, account_id: UUID) -> None:
    """Let the account's blocked targets go on: at once where their time has come."""
    blocked = (TARGETS.c.account_id == account_id) & (TARGETS.c.status == TargetStatus.BLOCKED)
    await c.execute(
        update(TARGETS)
        .where(blocked)
        .values(
            status=TargetStatus.RETRYING,
            next_attempt_at=func.greatest(func.now(), TARGETS.c.calendar_at),
            waiting_code=None,
            waiting_message=None,
            waiting_until=None,
        )
    )


async def claim_expiring(
    c: AsyncConnection, *, platforms: Mapping[Platform, timedelta], hold_for: timedelta, limit: int
) -> list[Refreshable]:
    """Accounts whose token ends within their platform's margin, held so that only one worker refreshes each."""
    due = [
        (ACCOUNTS.c.platform == platform) & (ACCOUNTS.c.expires_at < func.now() + margin)
        for platform, margin in platforms.items()
    ]
    free = ACCOUNTS.c.refreshing_until.is_(None) | (ACCOUNTS.c.refreshing_until < func.now())
    chosen = (
        select(ACCOUNTS.c.id)
        .where(ACCOUNTS.c.status.in_(USABLE), free, ACCOUNTS.c.access_token.is_not(None), or_(*due))
        .order_by(ACCOUNTS.c.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(ACCOUNTS)
        .where(ACCOUNTS.c.id.in_(chosen.scalar_subquery()))
        .values(refreshing_until=func.now() + hold_for)
        .returning(
            ACCOUNTS.c.id,
            ACCOUNTS.c.user_id,
            ACCOUNTS.c.platform,
            ACCOUNTS.c.access_token,
            ACCOUNTS.c.refresh_token,
            ACCOUNTS.c.expires_at,
        )
    )
    return [
        Refreshable(row.id, row.user_id, Platform(row.platform), row.access_token, row.refresh_token, row.expires_at)
        for row in await c.execute(statement)
    ]


async def save_tokens(
    c: AsyncConnection,
    account: Refreshable,
    *,
    sealed: Mapping[str, bytes | None],
    expires_at: datetime | None,
) -> None:
    """Fresh tokens for an account that still has the old ones; an answer without a refresh token never wipes it."""
    fresh = {column: token for column, token in sealed.items() if token is not None}
    changes = {
        "status": AccountStatus.CONNECTED,
        "expires_at": expires_at,
        "expiry_warning": None,
        "updated_at": func.now(),
    }
    statement = update(ACCOUNTS).where(ACCOUNTS.c.id == account.id, ACCOUNTS.c.access_token == account.access_token)
    await c.execute(statement.values(**changes, **fresh, refreshing_until=None))


async def mark_expired(c: AsyncConnection, *, refreshed: Sequence[Platform]) -> list[UUID]:
    """Set EXPIRED by the clock; gives the owners. On platforms that are `refreshed` an account with a refresh token
    outlives its access token."""
    is_lost = ACCOUNTS.c.refresh_token.is_(None) | ACCOUNTS.c.platform.not_in(refreshed)
    over = (ACCOUNTS.c.expires_at < func.now()) & is_lost & ACCOUNTS.c.status.in_(USABLE)
    expired = {"status": AccountStatus.EXPIRED, "expiry_warning": None, "updated_at": func.now()}
    return list((await c.execute(update(ACCOUNTS).where(over).values(expired).returning(ACCOUNTS.c.user_id))).scalars())


async def warn_expiring(c: AsyncConnection, *, days: Sequence[int], refreshed: Sequence[Platform]) -> list[UUID]:
    """Set EXPIRING with the closest of `days` (ascending) within which the token ends, once for each of them; gives the
    owners. Platforms that are `refreshed` give the last of the warnings only, and none with a refresh token."""
    ends = ACCOUNTS.c.expires_at
    left = case(*((ends < func.now() + timedelta(days=count), count) for count in days))
    is_kept = ACCOUNTS.c.platform.in_(refreshed)
    soon = (
        ACCOUNTS.c.status.in_(USABLE)
        & (ends >= func.now())
        & (ends < func.now() + timedelta(days=days[-1]))
        & ACCOUNTS.c.expiry_warning.is_distinct_from(left)
        & (~is_kept | (ACCOUNTS.c.refresh_token.is_(None) & (left == days[0])))
    )
    warned = {"status": AccountStatus.EXPIRING, "expiry_warning": left, "updated_at": func.now()}
    return list((await c.execute(update(ACCOUNTS).where(soon).values(warned).returning(ACCOUNTS.c.user_id))).scalars())


async def lock_tokens(c: AsyncConnection, *, after: UUID, limit: int) -> dict[UUID, dict[str, bytes | None]]:
    """The sealed tokens of the next accounts by id, locked."""
    statement = (
        select(ACCOUNTS.c.id, ACCOUNTS.c.access_token, ACCOUNTS.c.refresh_token)
        .where(ACCOUNTS.c.id > after)
        .order_by(ACCOUNTS.c.id)
        .limit(limit)
        .with_for_update()
    )
    rows = await c.execute(statement)
    return {row.id: {"access_token": row.access_token, "refresh_token": row.refresh_token} for row in rows}


async def store_tokens(c: AsyncConnection, account_id: UUID, sealed: Mapping[str, bytes]) -> None:
    """Put tokens in the place of the same tokens sealed before."""
    await c.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(**sealed))
