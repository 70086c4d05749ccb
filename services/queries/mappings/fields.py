"""The words in which mappings say where a field comes from.

A mapping is a table: the names of a type's fields on the left, where each comes from on the right. It knows nothing of
statements; `services.queries.optimizer_statements` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass

from sqlalchemy import Table

from services.domain.ids import Kind


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is. Text, numbers and booleans look in PostgreSQL's JSON as they do in Python's."""

    name: str


@dataclass(frozen=True, slots=True)
class Word:
    """A column of letters, digits, `_` and `-` alone, such as the values of an enum: JSON need not escape them."""

    name: str


@dataclass(frozen=True, slots=True)
class OrElse:
    """A column, or this constant, as SQL writes it, where it is null."""

    name: str
    otherwise: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as RFC 3339 in UTC with six digits."""

    name: str


@dataclass(frozen=True, slots=True)
class Id:
    """The row's key, with the prefix of its kind."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Member:
    """What stands under this name in the JSON of a column."""

    column: str
    name: str


@dataclass(frozen=True, slots=True)
class Part:
    """An object made of columns of the same row; null where the column `unless_null` is.

    Which type it is, the column `kind` says; without one there is but one type.
    """

    of: Map[str, str] | str
    unless_null: str
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class One:
    """The object of another table whose key stands here in the column `by`."""

    of: str
    by: str


@dataclass(frozen=True, slots=True)
class Many:
    """All objects of another table that have this row's key in their column `by`, in the order of another."""

    of: str
    by: str
    in_order_of: str


@dataclass(frozen=True, slots=True)
class Pages:
    """A connection: pages of the list that has this name in `services.queries.mappings.lists`."""

    of: str
    list: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Not in PostgreSQL's rows at all: its place holds these columns, by which whoever answers finds it."""

    by: tuple[str, ...]


Field = Column | Word | OrElse | Moment | Id | Member | Part | One | Many | Pages | Elsewhere


@dataclass(frozen=True, slots=True)
class Through:
    """Whose an object is, another object says, whose key stands in the column `by`."""

    of: str
    by: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """One type: the table that it is read from, the column that says whose a row is, and its fields.

    A part of another type's row has no table of its own.
    """

    fields: Map[str, Field]
    table: Table | None = None
    owner: str | Through | None = None
