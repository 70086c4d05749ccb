"""JSON put together as text.

PostgreSQL's `row_to_json` looks up the type of every column of every row anew, which is a fifth of a page's work; here
the types are known when the statement is written.

    '{"id":"post_' || encode(uuid_send(p.id), 'hex') || '","caption":' || to_json(p.caption)::text || '}'
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Integer, Text, UnaryExpression, cast, func, literal_column
from sqlalchemy.dialects.postgresql import aggregate_order_by

from services.domain.selection import HOLE_COMMA, HOLE_EDGE

_COMMA: ColumnElement[Any] = literal_column("','")
_NULL: ColumnElement[Any] = literal_column("'null'")
_NOTHING: ColumnElement[Any] = literal_column("''")


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value: text as it stands, and SQL that gives text, in turn. None of it is ever null."""

    pieces: tuple[str | ColumnElement[Any], ...]

    def sql(self) -> ColumnElement[Any]:
        """One expression of type text."""
        texts: list[ColumnElement[Any]] = []
        for _, together in groupby(self.pieces, key=lambda piece: isinstance(piece, str)):
            pieces = list(together)
            sql = [piece for piece in pieces if not isinstance(piece, str)]
            texts += sql or [_literal("".join(map(str, pieces)))]
        return cast(texts[0], Text) if len(texts) == 1 else _join(texts)


def constant(text: str) -> Json:
    """A string that needs no escaping."""
    return Json((f'"{text}"',))


def word(column: ColumnElement[Any]) -> Json:
    """A column of text that needs no escaping."""
    if _may_be_null(column):
        return or_null(Json(('"', column, '"')).sql())
    return Json(('"', column, '"'))


def value(column: ColumnElement[Any]) -> Json:
    """A column of any type: numbers and booleans are the same in JSON, and the rest PostgreSQL escapes."""
    is_plain = isinstance(column.type, (Integer, Boolean))
    text = cast(column if is_plain else func.to_json(column), Text)
    return or_null(text) if _may_be_null(column) else Json((text,))


def or_null(text: ColumnElement[Any]) -> Json:
    """SQL that gives JSON as text, or nothing."""
    return Json((func.coalesce(text, _NULL),))


def object_of(fields: Iterable[tuple[str, Json]]) -> Json:
    """An object; the names are GraphQL's, which have only letters, digits and underscores."""
    pieces: list[str | ColumnElement[Any]] = ["{"]
    for number, (name, json) in enumerate(fields):
        pieces += ["," if number else "", f'"{name}":', *json.pieces]
    return Json((*pieces, "}"))


def hole(number: int, by: Iterable[ColumnElement[Any]]) -> Json:
    """A place that is filled afterwards (`services.domain.selection.Hole`), by values that are never null."""
    pieces: list[str | ColumnElement[Any]] = [f"{HOLE_EDGE}{number}"]
    for column in by:
        pieces += [HOLE_COMMA, column if isinstance(column.type, Text) else cast(column, Text)]
    return Json((*pieces, HOLE_EDGE))


def gathered(item: ColumnElement[Any], *order: UnaryExpression[Any]) -> Any:
    """The aggregate of all items of a list, in the order of the rows or in another; null where there are none."""
    return func.string_agg(item, aggregate_order_by(_COMMA, *order) if order else _COMMA)


def list_from(text: ColumnElement[Any]) -> Json:
    """The list that was gathered."""
    return Json(("[", func.coalesce(text, _NOTHING), "]"))


def _may_be_null(column: ColumnElement[Any]) -> bool:
    return getattr(column, "nullable", True)


def _literal(text: str) -> ColumnElement[Any]:
    quoted = text.replace("'", "''")
    return literal_column(f"'{quoted}'" if text.isprintable() else f"E'{quoted.encode('unicode_escape').decode()}'")


def _join(texts: list[ColumnElement[Any]]) -> ColumnElement[Any]:
    """Halves of halves: in a row, each `||` would copy all that stands before it."""
    if len(texts) == 1:
        return texts[0]
    middle = len(texts) // 2
    return _join(texts[:middle]).op("||")(_join(texts[middle:]))
