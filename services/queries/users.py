"""Reading people and their credentials, and adding them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, Uuid, any_, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.backends.statements import DirectStatement
from services.domain.pages import Page, PageRequest, Place, cut_page
from services.domain.viewers import Role, Scope, User, UserFilter
from services.models import KEYS, USERS
from services.queries.keyset import Keyset
from services.queries.rows import Record, user_from

NEWEST_FIRST = Keyset(USERS.c.id, None, True, lambda row: Place(row.id))

_CREDENTIALS = select(
    KEYS.c.id.label("key_id"), KEYS.c.secret_hash, KEYS.c.scope, KEYS.c.expires_at, KEYS.c.revoked_at, USERS
).join(USERS, USERS.c.id == KEYS.c.user_id)
_USERS_BY_SUBJECT = select(USERS).where(USERS.c.subject == any_(bindparam("subjects", type_=ARRAY(Text))))
_SOME_CREDENTIALS = DirectStatement(_CREDENTIALS.where(KEYS.c.id == any_(bindparam("key_ids", type_=ARRAY(Uuid)))))


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """An API key as it is stored, with its user; the secret itself exists only with its owner."""

    key_id: UUID
    secret_hash: bytes
    scope: Scope
    expires_at: datetime | None
    revoked_at: datetime | None
    user: User

    def holds(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class ListedKey:
    """An API key as operators list it."""

    key_id: UUID
    name: str
    scope: Scope
    user_name: str
    subject: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def state(self, now: datetime) -> str:
        """Whether it holds, in a word or two."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "never used" if self.last_used_at is None else f"last used {self.last_used_at:%Y-%m-%d %H:%M}Z"


async def find_users(c: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, User]:
    """The users behind these ids."""
    return {row.id: user_from(row._mapping) for row in await c.execute(select(USERS).where(USERS.c.id.in_(ids)))}


async def page_users(c: AsyncConnection, *, wanted: UserFilter, page: PageRequest) -> Page[User]:
    """One page of people and operators, the newest first; a search walks that order until the page is full."""
    statement = NEWEST_FIRST.apply(select(USERS).where(*_matching(wanted)), page)
    rows: list[Any] = list((await c.execute(statement)).all())
    cut = cut_page(rows, page, NEWEST_FIRST.place)
    return Page(tuple(user_from(row._mapping) for row in cut.nodes), cut.cursors, cut.has_next, cut.has_previous)


async def count_users(c: AsyncConnection, *, wanted: UserFilter) -> int:
    """How many there are in all."""
    return (await c.execute(select(func.count()).select_from(USERS).where(*_matching(wanted)))).scalar_one()


async def find_user_by_subject(c: AsyncConnection, subject: str) -> User | None:
    """The user whom a JWT's `sub` names."""
    return (await find_users_by_subject(c, [subject])).get(subject)


async def find_users_by_subject(c: AsyncConnection, subjects: Sequence[str]) -> dict[str, User]:
    """The users whom the `sub` of JWTs names."""
    rows = await c.execute(_USERS_BY_SUBJECT, {"subjects": list(subjects)})
    return {row.subject: user_from(row._mapping) for row in rows}


async def find_credentials(c: AsyncConnection, key_ids: Sequence[UUID]) -> dict[UUID, StoredCredential]:
    """API keys by their public half, revoked and expired ones included."""
    rows = await _SOME_CREDENTIALS.fetch(c, key_ids=key_ids)
    return {row["key_id"]: _credential_from(dict(row)) for row in rows}


async def list_operator_credentials(c: AsyncConnection, now: datetime, *, limit: int) -> dict[UUID, StoredCredential]:
    """The API keys that make an operator of who has them, the newest first, but for those that have ended."""
    holds = KEYS.c.revoked_at.is_(None) & (KEYS.c.expires_at.is_(None) | (KEYS.c.expires_at > now))
    makes_operator = (USERS.c.role == Role.ADMIN) & (KEYS.c.scope == int(Scope.ADMIN))
    statement = _CREDENTIALS.where(makes_operator, holds).order_by(KEYS.c.id.desc()).limit(limit)
    return {row.key_id: _credential_from(row._mapping) for row in await c.execute(statement)}


async def list_operators_by_subject(c: AsyncConnection, *, limit: int) -> dict[str, User]:
    """The operators whom JWTs name, by `sub`, the newest first."""
    is_named = (USERS.c.role == Role.ADMIN) & USERS.c.subject.is_not(None)
    statement = select(USERS).where(is_named).order_by(USERS.c.id.desc()).limit(limit)
    return {row.subject: user_from(row._mapping) for row in await c.execute(statement)}


async def touch_credentials(c: AsyncConnection, key_ids: Sequence[UUID], at: datetime) -> None:
    """Note that these keys were used; `last_used_at` never goes back."""
    newer = (KEYS.c.last_used_at.is_(None)) | (KEYS.c.last_used_at < at)
    await c.execute(update(KEYS).where(KEYS.c.id.in_(key_ids), newer).values(last_used_at=at))


async def insert_user(c: AsyncConnection, *, user_id: UUID, name: str, role: Role, subject: str | None = None) -> None:
    """A new user."""
    await c.execute(insert(USERS).values(id=user_id, name=name, role=role, subject=subject))


async def insert_key(
    c: AsyncConnection,
    *,
    key_id: UUID,
    user_id: UUID,
    name: str,
    secret_hash: bytes,
    scope: Scope,
    expires_at: datetime | None = None,
) -> None:
    """A new API key."""
    values = {"id": key_id, "user_id": user_id, "name": name, "secret_hash": secret_hash, "scope": int(scope)}
    await c.execute(insert(KEYS).values(**values, expires_at=expires_at))


async def revoke_key(c: AsyncConnection, key_id: UUID, at: datetime) -> bool:
    """End a key; False where there is none that still holds."""
    statement = update(KEYS).where(KEYS.c.id == key_id, KEYS.c.revoked_at.is_(None)).values(revoked_at=at)
    return (await c.execute(statement)).rowcount == 1


async def list_keys(c: AsyncConnection) -> list[ListedKey]:
    """All keys, the oldest first."""
    statement = (
        select(
            KEYS.c.id,
            KEYS.c.name,
            KEYS.c.scope,
            USERS.c.name.label("user_name"),
            USERS.c.subject,
            KEYS.c.expires_at,
            KEYS.c.revoked_at,
            KEYS.c.last_used_at,
        )
        .join(USERS, USERS.c.id == KEYS.c.user_id)
        .order_by(KEYS.c.id)
    )
    return [ListedKey(row.id, row.name, Scope(row.scope), *row[3:]) for row in await c.execute(statement)]


def _credential_from(row: Record) -> StoredCredential:
    return StoredCredential(
        key_id=row["key_id"],
        secret_hash=row["secret_hash"],
        scope=Scope(row["scope"]),
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        user=user_from(row),
    )


def _matching(wanted: UserFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.role is not None:
        conditions.append(USERS.c.role == wanted.role)
    if wanted.search:
        conditions.append(USERS.c.name.icontains(wanted.search, autoescape=True))
    return conditions
