"""Who may share a cached value, and how well the cache serves."""

from dataclasses import dataclass
from enum import StrEnum


class CacheScope(StrEnum):
    """Who may be given a cached value."""

    VIEWER = "VIEWER"
    """Only the viewer it was loaded for."""
    PUBLIC = "PUBLIC"
    """Everybody: for what looks the same to all."""


@dataclass(frozen=True, slots=True)
class ResolverCacheStats:
    """How often one resolver's answers came from the cache."""

    resolver: str
    hits: int
    stale: int
    """Served a little beyond their time while one caller refreshes them."""
    misses: int
    errors: int
    """Answered without the cache, because Redis was away or refused."""
    too_large: int
    """Answers that were not kept because of their size."""

    @property
    def hit_rate(self) -> float:
        """The share of answers that needed no loading, from 0 to 1."""
        asked = self.hits + self.stale + self.misses + self.errors
        return (self.hits + self.stale) / asked if asked else 0.0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """The cache as operators see it."""

    resolvers: tuple[ResolverCacheStats, ...]
    is_shared: bool
    """False where Redis is away: these are then this process's own counts, not those of all."""
