"""Cache tags: each has a version in Redis, and a cached value counts only while the versions it was made under stand.

A version is no counter: it is random, so that one which was lost (FLUSHALL, eviction, expiry) can never come again and
bring an old value back to life.
"""

import secrets
from collections.abc import Iterable
from datetime import timedelta

from redis.asyncio.client import Pipeline

VERSION_BYTES = 8
LIFETIME = timedelta(days=2)
"""A version nobody raises is forgotten after this; values made under it are misses then."""


def tag_key(tag: str) -> str:
    """Where a tag's version lives."""
    return f"crier:tag:{tag}"


def new_version() -> bytes:
    """A version that never was."""
    return secrets.token_bytes(VERSION_BYTES)


def raise_tags(pipeline: Pipeline, tags: Iterable[str]) -> None:
    """Give each tag a new version: whatever was cached under it is stale, also what is being loaded right now."""
    for tag in tags:
        pipeline.set(tag_key(tag), new_version(), ex=LIFETIME)
