"""Writes the one statement that answers a question, as finished JSON.

    SELECT textsend(                                      an object is text: the names asked for as they stand, and
      '{"caption":' || to_json(p.caption)::text ||        between them the values
      ',"since":"' || to_char(p.created_at, …) ||
      '","targets":[' || coalesce((                       a list is the same again, correlated
        SELECT string_agg(o.json, ',')
        FROM (SELECT '{"status":"' || t.status || '"}' AS json
              FROM post_targets t WHERE t.post_id = p.id ORDER BY t.position) o), '') || ']}')
    FROM posts p WHERE p.id = $1

How JSON is put together as text, and why not by PostgreSQL's own functions, `services.queries.optimizer_json` says. A
connection has three layers (`services.queries.optimizer_pages`). Where each field comes from, the mappings say; for
viewers who may see only what is their own, every object is confined to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    ColumnElement,
    FromClause,
    Select,
    Table,
    Text,
    Uuid,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    select,
)

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
    Word,
)
from services.queries.mappings.lists import LISTS, Asking, unseen
from services.queries.optimizer_json import (
    Json,
    constant,
    gathered,
    hole,
    list_from,
    object_of,
    or_null,
    value,
    word,
)
from services.queries.optimizer_pages import PageWriter

_RFC_3339: ColumnElement[Any] = literal_column(r"""'\"YYYY-MM-DD"T"HH24:MI:SS.US"Z"\"'""")
"""With the quotes of a JSON string."""
_UTC: ColumnElement[Any] = literal_column("interval '0'")
"""The zone by its distance: a name would be looked up each time."""
_REACH: ColumnElement[Any] = bindparam("reach", type_=Uuid())
_MOST_AHEAD: ColumnElement[Any] = literal_column("20")
"""A person has a few accounts. Whoever has more than these waits for them no longer than for as many look-ups."""
_ROOT_LISTS = {Root.POSTS: ("Post", "posts of an owner"), Root.ACCOUNTS: ("Account", "accounts of an owner")}


class StatementWriter:
    """One statement; `holes` and `shown` are complete once it is written."""

    def __init__(self, *, shapes: Sequence[ListShape], is_confined: bool) -> None:
        self._shapes = shapes
        self._is_confined = is_confined
        self._owner = unseen(_REACH) if is_confined else None
        self._is_below_page = False
        self.holes: list[Hole] = []
        self.shown: set[str] = set()
        """The types whose objects may be in the answer."""

    def write(self, root: Root, selection: Selection) -> Select[Any]:
        """One row with one column of UTF-8, or no row where there is nothing to show."""
        if root is Root.MANY:
            return self._write_many(selection)
        if root is Root.ONE:
            of, _ = selection.only()
            return self._find(of, bindparam("key", type_=Uuid()), selection, as_=func.textsend)
        of, name = _ROOT_LISTS[root]
        self._owner = unseen(bindparam("owner", type_=Uuid()))
        place = len(self._shapes) - 1
        return select(func.textsend(self._write_pages(of, name, self._owner, selection, place=place).sql()))

    def write_object(self, of: str, row: FromClause, fields: Sequence[Selected]) -> Json:
        """A row that stands in an enclosing FROM, as an object."""
        self.shown.add(of)
        return object_of((field.key, self._write_field(of, row, field)) for field in fields)

    def _write_field(self, of: str, row: FromClause, field: Selected) -> Json:  # noqa: PLR0911 — a kind, a line
        if field.name == TYPENAME:
            return constant(of)
        match MAPPINGS[of].fields[field.name]:
            case Word(name):
                return word(row.c[name])
            case Column(name):
                return value(row.c[name])
            case OrElse(name, otherwise):
                return value(func.coalesce(row.c[name], literal_column(otherwise, row.c[name].type)))
            case Moment(name):
                return _write_moment(row.c[name])
            case Id(kind):
                return Json((f'"{kind}_', func.encode(func.uuid_send(row.c.id), literal_column("'hex'")), '"'))
            case Member(column, name):
                return or_null(cast(row.c[column].op("->")(literal_column(f"'{name}'")), Text))
            case Elsewhere(by):
                self.holes.append(Hole(field.name, _below(field)))
                return hole(len(self.holes) - 1, (row.c[name] for name in by))
            case Part() as part:
                return self._write_part(part, row, _below(field))
            case One(target, by):
                return self._write_one(target, row.c[by], row, _below(field))
            case Many() as many:
                return self._write_list(many, row, _below(field))
            case Pages(target, name):
                assert field.place is not None  # noqa: S101 — for the type checker: lists have arguments
                return self._write_pages(target, name, row.c.id, _below(field), place=field.place, beside=row)

    def _write_part(self, part: Part, row: FromClause, selection: Selection) -> Json:
        is_there = row.c[part.unless_null].is_not(None)
        if isinstance(part.of, str):
            return or_null(case((is_there, self.write_object(part.of, row, selection.by_type[part.of]).sql())))
        kind = row.c[part.kind or ""]
        return or_null(
            case(
                *(
                    (
                        is_there & (kind == literal_column(f"'{value}'")),
                        self.write_object(of, row, selection.by_type[of]).sql(),
                    )
                    for value, of in part.of.items()
                )
            )
        )

    def _write_one(self, of: str, key: ColumnElement[Any], row: FromClause, selection: Selection) -> Json:
        """Where many rows may point to the same few objects, these are looked for among those that were read ahead."""
        ahead = self._read_ahead(of, selection)
        found = self._find(of, key, selection, beside=row).scalar_subquery()
        if ahead is None:
            return or_null(found)
        known = select(ahead.c.json).where(ahead.c.id == key).correlate(row).scalar_subquery()
        return or_null(func.coalesce(known, found))

    def _read_ahead(self, of: str, selection: Selection) -> CTE | None:
        """Some objects of a person's, each written once for the whole statement; None where that would not pay."""
        owner = MAPPINGS[of].owner
        if not self._is_below_page or self._owner is None or not isinstance(owner, str) or not is_shallow(selection):
            return None
        row = _table_of(of).alias()
        holes = len(self.holes)
        json = self.write_object(of, row, selection.by_type[of]).sql()
        del self.holes[holes:]  # the same have the same numbers where such objects are found one by one
        read = select(row.c.id, json.label("json")).where(row.c[owner] == self._owner, *self._confine(of, row))
        return read.limit(_MOST_AHEAD).cte().prefix_with("MATERIALIZED")

    def _find(
        self,
        of: str,
        key: ColumnElement[Any],
        selection: Selection,
        *,
        beside: FromClause | None = None,
        as_: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda text: text,
    ) -> Select[Any]:
        """The object with this key; no row where the viewer may not see it."""
        row = _table_of(of).alias()
        found = select(as_(self.write_object(of, row, selection.by_type[of]).sql())).select_from(row)
        return found.where(row.c.id == key, *self._confine(of, row)).correlate(beside)

    def _write_list(self, many: Many, row: FromClause, selection: Selection) -> Json:
        other = _table_of(many.of).alias()
        item = self.write_object(many.of, other, selection.by_type[many.of]).sql().label("json")
        listed = (
            select(item)
            .select_from(other)
            .where(other.c[many.by] == row.c.id)
            .order_by(other.c[many.in_order_of])
            .correlate(row)
            .subquery()
        )
        return list_from(select(gathered(listed.c.json)).scalar_subquery())

    def _write_pages(
        self,
        of: str,
        name: str,
        whose: ColumnElement[Any],
        selection: Selection,
        *,
        place: int,
        beside: FromClause | None = None,
    ) -> Json:
        self.shown.add(of)  # also where only its number is
        asking = Asking(place, self._shapes[place])
        writer = PageWriter(
            of=of, rows=LISTS[name](whose, asking), asking=asking, parent=beside, show=self.write_object
        )
        was_below, self._is_below_page = self._is_below_page, True
        written = writer.write(selection)
        self._is_below_page = was_below
        return written

    def _write_many(self, selection: Selection) -> Select[Any]:
        """Objects of all kinds in the order of their ids, with null in the place of each that is not found."""
        kinds, keys = bindparam("kinds", type_=ARRAY(Text())), bindparam("keys", type_=ARRAY(Uuid()))
        named = func.unnest(kinds, keys).table_valued("kind", "key", with_ordinality="number").render_derived()
        found = case(
            *(
                (
                    named.c.kind == literal_column(f"'{kind}'"),
                    self._find(of, named.c.key, selection, beside=named).scalar_subquery(),
                )
                for kind, of in TYPE_OF.items()
            )
        )
        item = or_null(found).sql()
        return select(func.textsend(list_from(gathered(item, named.c.number.asc())).sql()))

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
                return [row.c[column] == _REACH]
            case None:
                raise ValueError(f"the mapping of {of} does not say whose an object is")


def _write_moment(moment: ColumnElement[Any]) -> Json:
    text = func.to_char(func.timezone(_UTC, moment), _RFC_3339)
    return or_null(text) if getattr(moment, "nullable", True) else Json((text,))


def is_shallow(selection: Selection) -> bool:
    """Whether all that is selected stands in the objects' own rows."""
    return all(
        field.name == TYPENAME
        or isinstance(kind := MAPPINGS[of].fields[field.name], (Column, Word, OrElse, Moment, Id, Member, Elsewhere))
        or (isinstance(kind, Part) and is_shallow(_below(field)))
        for of, fields in selection.by_type.items()
        for field in fields
    )


def _below(field: Selected) -> Selection:
    assert field.below is not None  # noqa: S101 — for the type checker: objects have fields
    return field.below


def _table_of(of: str) -> Table:
    table = MAPPINGS[of].table
    assert table is not None  # noqa: S101 — for the type checker: parts are not found by key
    return table
