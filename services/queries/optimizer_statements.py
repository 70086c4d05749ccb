"""Writes the one statement that answers a question, as finished JSON.

    SELECT row_to_json(o) FROM (SELECT                    an object is a row of exactly the fields asked for,
        p.caption AS "caption",                           under the names asked for
        to_char(p.created_at, …) AS "since",
        (SELECT coalesce(json_agg(row_to_json(o)), '[]')  a list is the same again, correlated
         FROM (SELECT t.status AS "status" FROM post_targets t WHERE t.post_id = p.id ORDER BY t.position) o
        ) AS "targets"
    FROM posts p WHERE p.id = $1) o

This shape costs PostgreSQL half of what lateral joins or `json_build_object` do. A connection has three layers
(`services.queries.optimizer_pages`). Where each field comes from, the mappings say; for viewers who may see only what
is their own, every object is confined to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Table,
    Text,
    Uuid,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from services.domain.selection import TYPENAME, Hole, ListShape, Root, Selected, Selection
from services.queries.mappings import MAPPINGS, TYPE_OF
from services.queries.mappings.fields import (
    Column,
    Elsewhere,
    Id,
    Many,
    Member,
    Moment,
    One,
    OrElse,
    Pages,
    Part,
    Through,
)
from services.queries.mappings.lists import LISTS, Asking
from services.queries.optimizer_pages import EMPTY_LIST, Json, PageWriter, Path

_RFC_3339: ColumnElement[Any] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
_ROOT_LISTS = {Root.POSTS: ("Post", "posts of an owner"), Root.ACCOUNTS: ("Account", "accounts of an owner")}


class StatementWriter:
    """One statement; `holes` and `shown` are complete once it is written."""

    def __init__(self, *, shapes: Sequence[ListShape], is_confined: bool) -> None:
        self._shapes = shapes
        self._is_confined = is_confined
        self.holes: list[Hole] = []
        self.shown: set[str] = set()
        """The types whose objects may be in the answer."""

    def write(self, root: Root, selection: Selection) -> Select[Any]:
        """One row with one column, or no row where there is nothing to show."""
        if root is Root.MANY:
            return self._write_many(selection)
        if root is Root.ONE:
            of, _ = selection.only()
            return select(_as_json(self._find(of, bindparam("key", type_=Uuid()), selection, (), beside=None)))
        of, name = _ROOT_LISTS[root]
        owner = bindparam("owner", type_=Uuid())
        return select(
            _as_json(self._write_pages(of, name, owner, selection, place=len(self._shapes) - 1, path=(), beside=None))
        )

    def write_object(self, of: str, row: FromClause, fields: Sequence[Selected], path: Path) -> Json:
        """A row that stands in an enclosing FROM, as an object."""
        shown = self._write_fields(of, row, fields, path).correlate(row).subquery()
        return select(_as_json(shown)).scalar_subquery()

    def _write_fields(self, of: str, row: FromClause, fields: Sequence[Selected], path: Path) -> Select[Any]:
        self.shown.add(of)
        return select(*(self._write_field(of, row, field, (*path, field.key)).label(field.key) for field in fields))

    def _write_field(self, of: str, row: FromClause, field: Selected, path: Path) -> Json:  # noqa: PLR0911 — a kind, a line
        if field.name == TYPENAME:
            return literal_column(f"'{of}'")
        match MAPPINGS[of].fields[field.name]:
            case Column(name):
                return row.c[name]
            case OrElse(name, otherwise):
                return func.coalesce(row.c[name], literal_column(otherwise))
            case Moment(name):
                return func.to_char(func.timezone(literal_column("'UTC'"), row.c[name]), _RFC_3339)
            case Id(kind):
                digits = func.encode(func.uuid_send(row.c.id), literal_column("'hex'"))
                return literal_column(f"'{kind}_'").op("||")(digits)
            case Member(column, name):
                return row.c[column].op("->")(literal_column(f"'{name}'"))
            case Elsewhere(by):
                self.holes.append(Hole(path, field.name, _below(field)))
                return func.json_build_array(*(row.c[name] for name in by))
            case Part() as part:
                return self._write_part(part, row, _below(field), path)
            case One(target, by):
                found = self._find(target, row.c[by], _below(field), path, beside=row)
                return select(_as_json(found)).scalar_subquery()
            case Many() as many:
                return self._write_list(many, row, _below(field), path)
            case Pages(target, name):
                assert field.place is not None  # noqa: S101 — for the type checker: lists have arguments
                page = self._write_pages(
                    target, name, row.c.id, _below(field), place=field.place, path=path, beside=row
                )
                return select(_as_json(page)).scalar_subquery()

    def _write_part(self, part: Part, row: FromClause, selection: Selection, path: Path) -> Json:
        is_there = row.c[part.unless_null].is_not(None)
        if isinstance(part.of, str):
            return case((is_there, self.write_object(part.of, row, selection.by_type[part.of], path)))
        kind = row.c[part.kind or ""]
        return case(
            *(
                (
                    is_there & (kind == literal_column(f"'{value}'")),
                    self.write_object(of, row, selection.by_type[of], path),
                )
                for value, of in part.of.items()
            )
        )

    def _find(
        self, of: str, key: ColumnElement[Any], selection: Selection, path: Path, *, beside: FromClause | None
    ) -> Subquery:
        """The object with this key as a row of its fields; no row where the viewer may not see it."""
        row = _table_of(of).alias()
        found = self._write_fields(of, row, selection.by_type[of], path).select_from(row)
        return found.where(row.c.id == key, *self._confine(of, row)).correlate(beside).subquery()

    def _write_list(self, many: Many, row: FromClause, selection: Selection, path: Path) -> Json:
        other = _table_of(many.of).alias()
        listed = (
            self._write_fields(many.of, other, selection.by_type[many.of], path)
            .select_from(other)
            .where(other.c[many.by] == row.c.id)
            .order_by(other.c[many.in_order_of])
            .correlate(row)
            .subquery()
        )
        return select(func.coalesce(func.json_agg(_as_json(listed)), EMPTY_LIST)).scalar_subquery()

    def _write_pages(
        self,
        of: str,
        name: str,
        whose: ColumnElement[Any],
        selection: Selection,
        *,
        place: int,
        path: Path,
        beside: FromClause | None,
    ) -> Subquery:
        self.shown.add(of)  # also where only its number is
        asking = Asking(place, self._shapes[place])
        return PageWriter(
            of=of,
            rows=LISTS[name](whose, asking),
            asking=asking,
            parent=beside,
            path=path,
            show=self.write_object,
        ).write(selection)

    def _write_many(self, selection: Selection) -> Select[Any]:
        """Objects of all kinds in the order of their ids, with null in the place of each that is not found."""
        kinds, keys = bindparam("kinds", type_=ARRAY(Text())), bindparam("keys", type_=ARRAY(Uuid()))
        named = func.unnest(kinds, keys).table_valued("kind", "key", with_ordinality="number").render_derived()
        found = case(
            *(
                (
                    named.c.kind == literal_column(f"'{kind}'"),
                    select(_as_json(self._find(of, named.c.key, selection, (), beside=named))).scalar_subquery(),
                )
                for kind, of in TYPE_OF.items()
            )
        )
        return select(func.coalesce(func.json_agg(aggregate_order_by(found, named.c.number)), EMPTY_LIST))

    def _confine(self, of: str, row: FromClause) -> list[ColumnElement[bool]]:
        """Only what the viewer may see."""
        if not self._is_confined:
            return []
        match MAPPINGS[of].owner:
            case Through(other, by):
                parent = _table_of(other).alias()
                mine = exists().where(parent.c.id == row.c[by], *self._confine(other, parent))
                return [mine.correlate(row)]
            case str(column):
                return [row.c[column] == bindparam("reach", type_=Uuid())]
            case None:
                raise ValueError(f"the mapping of {of} does not say whose an object is")


def _as_json(row: Subquery) -> Json:
    return func.row_to_json(row.table_valued())


def _below(field: Selected) -> Selection:
    assert field.below is not None  # noqa: S101 — for the type checker: objects have fields
    return field.below


def _table_of(of: str) -> Table:
    table = MAPPINGS[of].table
    assert table is not None  # noqa: S101 — for the type checker: parts are not found by key
    return table
