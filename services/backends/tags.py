"""Cache tags: each has a version in Redis, and a cached value counts only while the versions it was made under stand.

A version is no counter: it is random, so that one which was lost (FLUSHALL, eviction, expiry) can never come again and
bring an old value back to life. So a tag is raised by deleting its version, which a Redis that is out of memory does
too; whoever reads next makes a new one.
"""

import secrets
from collections.abc import Iterable
from datetime import timedelta

from redis.asyncio.client import Pipeline

VERSION_BYTES = 8
LIFETIME = timedelta(days=2)
"""A version nobody raises is forgotten after this; values made under it are misses then."""

EVERYTHING = "everything"
"""The tag of every value. It is raised where Redis comes back from an outage, during which tags could not be."""


def tag_key(tag: str) -> str:
    """Where a tag's version lives."""
    return f"crier:tag:{tag}"


def new_version() -> bytes:
    """A version that never was."""
    return secrets.token_bytes(VERSION_BYTES)


def raise_tags(pipeline: Pipeline, tags: Iterable[str]) -> None:
    """Take each tag's version away: whatever was cached under it is dead, also what is being loaded right now."""
    for tag in tags:
        pipeline.delete(tag_key(tag))
