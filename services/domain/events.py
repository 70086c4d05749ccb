"""What happened, as told to caches and to people who watch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Event:
    """One change that one user may see; told after the commit, at least once and in the order of that user's commits.

    A reader drops what it already has by the version inside `payload`.
    """

    user_id: UUID
    kind: str
    payload: Mapping[str, Any]
    """JSON: the whole state after the change."""
    tags: tuple[str, ...] = ()
    """Cache tags that the change makes stale."""
