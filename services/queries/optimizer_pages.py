"""Writes connections: three layers, each reading from the one below it.

    SELECT '{"nodes":[' || s.list_0 || '],"pageInfo":' || … || ',"totalCount":' || …        what was asked for
    FROM (SELECT string_agg('{"caption":' || …, ',') FILTER (WHERE page_number <= size)     one line that sums it up
                   AS list_0, count(*) > size AS has_next, …
          FROM (SELECT p.caption, …, row_number() OVER (…) AS page_number                   the page, and one row more
                FROM posts p WHERE … ORDER BY … LIMIT size + 1) page) s

A layer that nobody asked for is left out: `totalCount` alone reads no page, and without `pageInfo` there is no row
more. The columns of a page are those that its nodes show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Subquery,
    Text,
    UnaryExpression,
    Uuid,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from services.domain.pages import MAX_SIZE
from services.domain.selection import TYPENAME, Selected, Selection
from services.queries.mappings import MAPPINGS
from services.queries.mappings.fields import Column, Elsewhere, Id, Many, Member, Moment, One, OrElse, Pages, Part, Word
from services.queries.mappings.lists import Asking, Rows, unseen
from services.queries.optimizer_json import Json, constant, gathered, list_from, object_of

Show = Callable[[str, FromClause, Sequence[Selected]], Json]
"""Writes a row that stands in an enclosing FROM as an object of a type."""

_FIRST: ColumnElement[Any] = literal_column("1")
_LONGEST: ColumnElement[Any] = literal_column(str(MAX_SIZE + 1))
"""No page is longer. A limit that PostgreSQL does not see it takes for a tenth of what there is: of this many, where it
sees this one too, and not of the whole list."""
_MICROSECONDS: ColumnElement[Any] = literal_column("1000000")
_IN_1970: ColumnElement[Any] = literal_column(r"'\x0000000000000000'::bytea")
_URL_SAFE: tuple[ColumnElement[Any], ...] = (literal_column("'+/'"), literal_column("'-_'"))


@dataclass(frozen=True, slots=True)
class PageWriter:
    """One connection of one statement."""

    of: str
    """The type of its nodes."""
    rows: Rows
    asking: Asking
    parent: FromClause | None
    """The row to which the list belongs; None for a root."""
    show: Show

    def write(self, selection: Selection) -> Json:
        """The connection."""
        type_name, fields = selection.only()
        lists = [field for field in fields if field.name in ("nodes", "edges")]
        facts = {asked.name for field in fields if field.name == "pageInfo" for asked in _fields(field)}
        has_info = any(field.name == "pageInfo" for field in fields)
        line = self._sum_up(lists, facts, has_info=has_info) if lists or has_info else None

        shown = object_of((field.key, self._write_field(type_name, field, lists, line)) for field in fields)
        if line is None:
            return shown
        return Json((select(shown.sql()).select_from(line).correlate(self.parent).scalar_subquery(),))

    def _write_field(self, type_name: str, field: Selected, lists: list[Selected], line: Subquery | None) -> Json:
        if field.name == TYPENAME:
            return constant(type_name)
        if field.name == "totalCount":
            counted = select(cast(func.count(), Text)).select_from(self.rows.tables).where(*self.rows.where)
            return Json((counted.correlate(self.parent).scalar_subquery(),))
        assert line is not None  # noqa: S101 — for the type checker: whatever else there is makes `write` sum up
        if field.name == "pageInfo":
            info, fields = _below(field).only()
            return self.show(info, line, fields)
        return list_from(line.c[f"list_{lists.index(field)}"])

    def _sum_up(self, lists: list[Selected], facts: set[str], *, has_info: bool) -> Subquery:
        """The page's lists and facts in one line."""
        page = self._page(
            columns=sorted({name for field in lists for name in self._columns_of(field)}),
            has_cursor=bool(facts & {"startCursor", "endCursor"}) or any(field.name == "edges" for field in lists),
            has_number=has_info or self.asking.shape.is_backward,
        )
        gathered = [self._gather(field, page).label(f"list_{index}") for index, field in enumerate(lists)]
        told = [fact.label(name) for name, fact in self._facts(page, facts)]
        counted = func.count().label("page_rows")  # at least this sums up, so that it is one line in any case
        return select(counted, *gathered, *told).select_from(page).correlate(self.parent).subquery()

    def _columns_of(self, field: Selected) -> set[str]:
        nodes = [field] if field.name == "nodes" else [inner for inner in _fields(field) if inner.name == "node"]
        return {name for node in nodes for name in columns_of(self.of, _fields(node))}

    def _page(self, *, columns: Sequence[str], has_cursor: bool, has_number: bool) -> Subquery:
        """The page's rows in the direction of reading; with numbers, one more, which says whether the list goes on."""
        shown: list[ColumnElement[Any]] = [self.rows.row.c[name] for name in columns]
        if has_cursor:
            shown.append(_cursor(self.rows).label("page_cursor"))
        if has_number:
            shown.append(func.row_number().over(order_by=self._order()).label("page_number"))
        listed = select(*shown).select_from(self.rows.tables).where(*self.rows.where, *self._between())
        longest = listed.order_by(*self._order()).limit(_LONGEST).correlate(self.parent).subquery()
        size = unseen(self.asking.value("limit" if has_number else "size", Integer()))
        return select(longest).limit(size).subquery()

    def _gather(self, field: Selected, page: Subquery) -> Any:
        item, fields = _below(field).only()
        write = self._write_edge if field.name == "edges" else self.show
        return gathered(write(item, page, fields).sql(), *self._page_order(page)).filter(*self._is_shown(page))

    def _write_edge(self, type_name: str, page: FromClause, fields: Sequence[Selected]) -> Json:
        def write(field: Selected) -> Json:
            if field.name == TYPENAME:
                return constant(type_name)
            if field.name == "cursor":
                return Json(('"', page.c.page_cursor, '"'))
            return self.show(self.of, page, _fields(field))

        return object_of((field.key, write(field)) for field in fields)

    def _facts(self, page: Subquery, asked: set[str]) -> Iterator[tuple[str, ColumnElement[Any]]]:
        """What `PageInfo` is read off; the list's own order holds whichever way it is read."""
        shape = self.asking.shape
        has_more = func.count() > self.asking.value("size", Integer())
        if "hasNextPage" in asked:
            yield "has_next", _yes_no(shape.has_before) if shape.is_backward else has_more
        if "hasPreviousPage" in asked:
            yield "has_previous", has_more if shape.is_backward else _yes_no(shape.has_after)
        if "startCursor" in asked:
            yield "start_cursor", self._cursors(page)[_FIRST]
        if "endCursor" in asked:
            last = func.least(func.count(), self.asking.value("size", Integer()))
            yield "end_cursor", self._cursors(page)[cast(last, Integer)]

    def _cursors(self, page: Subquery) -> Any:
        cursor, order = page.c.page_cursor, self._page_order(page)
        cursors = func.array_agg(aggregate_order_by(cursor, *order) if order else cursor, type_=ARRAY(Text()))
        return cursors.filter(*self._is_shown(page))

    def _page_order(self, page: FromClause) -> list[UnaryExpression[Any]]:
        """The order in which an aggregate gathers. All aggregates of a page name the same, or none does: PostgreSQL
        sorts the rows for one that does, and hands them in that order to all."""
        if "page_number" not in page.c:
            return []
        number = page.c.page_number
        return [number.desc() if self.asking.shape.is_backward else number.asc()]

    def _is_shown(self, page: Subquery) -> list[ColumnElement[bool]]:
        if "page_number" not in page.c:
            return []
        return [page.c.page_number <= self.asking.value("size", Integer())]

    def _order(self) -> list[UnaryExpression[Any]]:
        columns = [self.rows.id] if self.rows.at is None else [self.rows.at, self.rows.id]
        is_reversed = self.rows.is_descending != self.asking.shape.is_backward
        return [column.desc() if is_reversed else column.asc() for column in columns]

    def _between(self) -> Iterator[ColumnElement[bool]]:
        """Only what lies strictly between the two places that were named."""
        if self.asking.shape.has_after:
            yield self._beyond("after", is_greater=not self.rows.is_descending)
        if self.asking.shape.has_before:
            yield self._beyond("before", is_greater=self.rows.is_descending)

    def _beyond(self, which: str, *, is_greater: bool) -> ColumnElement[bool]:
        there = unseen(self.asking.value(f"{which}_id", Uuid()))
        if self.rows.at is None:
            return self.rows.id > there if is_greater else self.rows.id < there
        place = tuple_(unseen(self.asking.value(f"{which}_at", DateTime(timezone=True))), there)
        here = tuple_(self.rows.at, self.rows.id)
        return here > place if is_greater else here < place


def columns_of(of: str, fields: Sequence[Selected]) -> set[str]:
    """The columns of a type's table from which these fields come."""
    return {name for field in fields if field.name != TYPENAME for name in _columns_of(of, field)}


def _columns_of(of: str, selected: Selected) -> set[str]:
    match MAPPINGS[of].fields[selected.name]:
        case Column(name) | Word(name) | Moment(name) | OrElse(name, _) | Member(name, _) | One(_, name):
            return {name}
        case Id() | Many() | Pages():
            return {"id"}
        case Elsewhere(names):
            return set(names)
        case Part(types, unless_null, kind):
            parts = [types] if isinstance(types, str) else types.values()
            below = (columns_of(part, _below(selected).by_type[part]) for part in parts)
            return {unless_null, *([kind] if kind else ())}.union(*below)


def _fields(field: Selected) -> tuple[Selected, ...]:
    return _below(field).only()[1]


def _below(field: Selected) -> Selection:
    assert field.below is not None  # noqa: S101 — for the type checker: these fields are objects
    return field.below


def _yes_no(value: bool) -> ColumnElement[bool]:
    return literal_column("true" if value else "false", Boolean)


def _cursor(rows: Rows) -> ColumnElement[Any]:
    """`services.domain.pages.Place.to_cursor` in SQL."""
    at: ColumnElement[Any] = _IN_1970
    if rows.at is not None:
        at = func.int8send(cast(func.extract("epoch", rows.at) * _MICROSECONDS, BigInteger))
    return func.translate(func.encode(at.op("||")(func.uuid_send(rows.id)), literal_column("'base64'")), *_URL_SAFE)
