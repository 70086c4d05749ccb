"""Ids: time-ordered UUIDs inside, `post_<32 hex>` outside, so that an id says what it names."""

import re
from enum import StrEnum
from uuid import UUID

from uuid_utils.compat import uuid7

_SHAPE = re.compile(r"([a-z]+)_([0-9a-f]{32})")


class Kind(StrEnum):
    """The prefix of an id, one per kind of object that can be named."""

    USER = "user"
    ACCOUNT = "acct"
    POST = "post"
    TARGET = "tgt"
    MEDIA = "media"
    UPLOAD = "upl"
    ATTEMPT = "att"


_PREFIXES = frozenset(kind.value for kind in Kind)


def new_id() -> UUID:
    """A UUID of version 7 (RFC 9562): later ids sort after earlier ones."""
    return uuid7()


def encode_id(kind: Kind, value: UUID) -> str:
    """The id as clients see it."""
    return f"{kind}_{value.hex}"


def decode_id(text: str) -> tuple[Kind, UUID] | None:
    """The kind and the key behind a client's id; None for anything that no `encode_id` could have made."""
    match = _SHAPE.fullmatch(text)
    if match is None or match[1] not in _PREFIXES:
        return None
    return Kind(match[1]), UUID(hex=match[2])


def decode_id_of(kind: Kind, text: str) -> UUID | None:
    """The key behind a client's id of one kind; None for a malformed id or one of another kind."""
    decoded = decode_id(text)
    return decoded[1] if decoded is not None and decoded[0] is kind else None
