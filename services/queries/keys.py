"""Idempotency keys: a wish that is sent again, because its answer was lost, is fulfilled once."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.drafts import check_key
from services.domain.errors import ErrorCode, refuse
from services.models import IDEMPOTENCY_KEYS


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants done; `content` is all that makes it this wish. Without a key it is always a new one."""

    operation: str
    key: str | None
    content: Any


async def find_fulfilled(c: AsyncConnection, owner: UUID, wish: Wish, *, object_id: UUID) -> UUID | None:
    """The object that this very wish has made or changed before; None: it is new, and now stands for `object_id`.

    Whoever comes at the same time waits for the first one's transaction. Raises `Refused` where the key stood for
    another wish.
    """
    check_key(wish.key)
    if wish.key is None:
        return None
    fingerprint = hashlib.sha256(orjson.dumps(wish.content, default=str, option=orjson.OPT_SORT_KEYS)).digest()
    earlier = await claim_key(
        c,
        user_id=owner,
        operation=wish.operation,
        key=wish.key,
        fingerprint=fingerprint,
        object_id=object_id,
    )
    if earlier is None:
        return None
    known, earlier_object = earlier
    if known != fingerprint:
        message = "This idempotency key was used before with other input."
        raise refuse(ErrorCode.IDEMPOTENCY_MISMATCH, message, "idempotencyKey")
    return earlier_object


async def find_first_use(c: AsyncConnection, owner: UUID, wish: Wish) -> datetime:
    """When the wish's key was first used, by the database's clock; it has been used already, if only just now."""
    taken = select(IDEMPOTENCY_KEYS.c.created_at).where(*_is_key(owner, wish.operation, wish.key or ""))
    first_use: datetime = (await c.execute(taken)).scalar_one()
    return first_use


async def claim_key(
    c: AsyncConnection, *, user_id: UUID, operation: str, key: str, fingerprint: bytes, object_id: UUID
) -> tuple[bytes, UUID] | None:
    """Take an idempotency key: None; or learn whose it is: the fingerprint and the object it stands for.

    A second caller with the same key waits here until the first one's transaction has ended.
    """
    values = {
        "user_id": user_id,
        "operation": operation,
        "key": key,
        "fingerprint": fingerprint,
        "object_id": object_id,
    }
    row = upsert(IDEMPOTENCY_KEYS).values(values).on_conflict_do_nothing()
    if (await c.execute(row.returning(IDEMPOTENCY_KEYS.c.key))).one_or_none() is not None:
        return None
    taken = select(IDEMPOTENCY_KEYS.c.fingerprint, IDEMPOTENCY_KEYS.c.object_id).where(
        *_is_key(user_id, operation, key)
    )
    found = (await c.execute(taken)).one()
    return found.fingerprint, found.object_id


def _is_key(user_id: UUID, operation: str, key: str) -> list[ColumnElement[bool]]:
    k = IDEMPOTENCY_KEYS.c
    return [k.user_id == user_id, k.operation == operation, k.key == key]
