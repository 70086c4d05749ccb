"""JSON as Crier writes it, to PostgreSQL, Redis and caches."""

from typing import Any
from uuid import UUID

import orjson


def encode_json(value: Any) -> bytes:
    """UTF-8 JSON. Raises TypeError for what JSON cannot say."""
    return orjson.dumps(value, default=_plain)


def _plain(value: object) -> str:
    """A UUID from asyncpg is of a class of its own, which orjson does not know for one."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError
