"""Who has just changed something: so long, what shows it is read where it was committed.

Said by whoever commits, in the same breath as the tags that end what was cached (`services.backends.outbox`), so that a
page which is loaded under new tags is never an old one.
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from redis.asyncio.client import Pipeline

from services.backends.redis import RedisAway, RedisGate

REMEMBERED = timedelta(seconds=3)
"""Longer than any reader may be behind (`services.backends.replica`), and what a page takes to be read besides."""
_MILLISECONDS = round(REMEMBERED.total_seconds() * 1000)


def note_writes(pipeline: Pipeline, user_ids: Iterable[UUID]) -> None:
    """Something of theirs was just committed."""
    for user_id in user_ids:
        pipeline.set(_key(user_id), b"", px=_MILLISECONDS)


async def has_just_written(gate: RedisGate, user_id: UUID) -> bool:
    """Whether anybody, in any process, has just changed something of theirs; yes where nobody can say."""
    if not gate.is_settled:
        return True
    try:
        return bool(await gate.run(lambda client: client.exists(_key(user_id))))
    except RedisAway:
        return True


def _key(user_id: UUID) -> str:
    return f"crier:written:{user_id.hex}"
