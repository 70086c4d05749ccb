"""What was asked for, in plain values: which fields, under which names, of which lists.

A `Selection` is the shape of an answer and says nothing about values, so that what is worked out for one shape serves
every request of it. The values travel beside it, in a `Question`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.domain.accounts import AccountFilter
from services.domain.ids import Kind
from services.domain.pages import PageRequest
from services.domain.posts import PostFilter, PostOrder

TYPENAME = "__typename"


@dataclass(frozen=True, slots=True)
class Selected:
    """One field of an answer."""

    key: str
    """Its name in the answer."""
    name: str
    """Its name in the schema."""
    below: Selection | None = None
    """What is shown of the objects that it gives; None for a leaf."""
    place: int | None = None
    """Where the arguments stand in `Question.lists`, for a field that has any."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The fields of an object in the order of the answer, by the name of its type: an interface may stand for many."""

    by_type: Mapping[str, tuple[Selected, ...]]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(tuple(self.by_type.items())))

    def __hash__(self) -> int:
        return self._hash

    def only(self) -> tuple[str, tuple[Selected, ...]]:
        """The type and its fields, where there is but one."""
        [(name, fields)] = self.by_type.items()
        return name, fields


@dataclass(frozen=True, slots=True)
class ListShape:
    """What of a `ListAsked` decides how it is read, values aside."""

    order: PostOrder | None
    is_backward: bool
    has_after: bool
    has_before: bool
    filters: tuple[str, ...]
    """The names of those fields of the filter that restrict anything."""


@dataclass(frozen=True, slots=True)
class ListAsked:
    """The arguments of a list."""

    page: PageRequest
    wanted: PostFilter | AccountFilter | None = None
    order: PostOrder | None = None

    def filters(self) -> dict[str, Any]:
        """The filter's fields that restrict anything."""
        if self.wanted is None:
            return {}
        given = {name: getattr(self.wanted, name) for name in self.wanted.__slots__}
        return {name: value for name, value in given.items() if value is not None and value != ""}

    def shape(self) -> ListShape:
        """The arguments without their values."""
        page = self.page
        return ListShape(
            self.order, page.backward, page.after is not None, page.before is not None, tuple(self.filters())
        )


class Root(StrEnum):
    """Where an answer begins."""

    POSTS = "POSTS"
    """A person's posts."""
    ACCOUNTS = "ACCOUNTS"
    """A person's accounts."""
    ONE = "ONE"
    """The object that `names` names."""
    MANY = "MANY"
    """The objects that `names` names, in that order, null in the place of each that is absent."""


@dataclass(frozen=True, slots=True)
class Question:
    """All that decides an answer."""

    root: Root
    selection: Selection
    lists: tuple[ListAsked, ...] = ()
    """The arguments of all lists, where `Selected.place` finds them; a root that is a list has the last."""
    owner: UUID | None = None
    """Whose list the root is."""
    reach: UUID | None = None
    """Whose objects may be shown at all; None: everybody's."""
    names: tuple[tuple[Kind, UUID] | None, ...] = ()


HOLE_EDGE, HOLE_COMMA = "\x1a", "\x1f"
"""Signs that JSON never holds as they are, not even in its strings."""


@dataclass(frozen=True, slots=True)
class Hole:
    """What something outside of PostgreSQL fills: a field of some objects in finished JSON.

    In each of its places stands `HOLE_EDGE`, the hole's number among all of the answer, the values by which its filling
    is found, each after a `HOLE_COMMA`, and `HOLE_EDGE` again.
    """

    field: str
    """The field's name in the schema."""
    below: Selection
