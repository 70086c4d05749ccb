"""Idempotency keys: a wish that is sent again, because its answer was lost, is fulfilled once."""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.drafts import check_key
from services.domain.errors import ErrorCode, refuse
from services.domain.posts import PostState
from services.queries.drafting import claim_key
from services.queries.states import read_state


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


async def read_fulfilled(c: AsyncConnection, owner: UUID, post_id: UUID) -> PostState:
    """The post of an earlier call with the same key, as it stands now."""
    state = await read_state(c, post_id, owner=owner)
    if state is None:
        raise refuse(ErrorCode.NOT_FOUND, "The post that this key stands for was deleted.", "idempotencyKey")
    return state
