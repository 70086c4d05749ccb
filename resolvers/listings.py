"""Lists that grow, as resolvers hand them up: nothing is read before somebody asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.domain.pages import Page

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page of a list, and how long the whole list is. Both go through a loader: asking twice reads once."""

    page: Callable[[], Awaitable[Page[T]]]
    count: Callable[[], Awaitable[int]]
