"""Keyset conditions and orders: how a `PageRequest` becomes SQL."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, literal, tuple_
from sqlalchemy.sql.elements import UnaryExpression

from services.domain.pages import PageRequest, Place


@dataclass(frozen=True, slots=True)
class Keyset:
    """A total order of rows: by moment then id, or by id alone; `place` finds a row's own place in it."""

    id: ColumnElement[Any]
    at: ColumnElement[Any] | None
    descending: bool
    place: Callable[[Row[Any]], Place]

    def between(self, page: PageRequest) -> list[ColumnElement[bool]]:
        """Only rows strictly between the page's two places."""
        conditions = []
        if page.after is not None:
            conditions.append(self._beyond(page.after, greater=not self.descending))
        if page.before is not None:
            conditions.append(self._beyond(page.before, greater=self.descending))
        return conditions

    def order(self, page: PageRequest) -> list[UnaryExpression[Any]]:
        """The direction in which rows are read; `cut_page` turns a backward page round again."""
        columns = [self.id] if self.at is None else [self.at, self.id]
        reverse = self.descending != page.backward
        return [column.desc() if reverse else column.asc() for column in columns]

    def apply(self, statement: Select[Any], page: PageRequest) -> Select[Any]:
        """The page's rows and one more, which says whether the list goes on."""
        return statement.where(*self.between(page)).order_by(*self.order(page)).limit(page.size + 1)

    def _beyond(self, place: Place, *, greater: bool) -> ColumnElement[bool]:
        if self.at is None:
            return self.id > place.id if greater else self.id < place.id
        here = tuple_(self.at, self.id)
        there = tuple_(literal(place.at, self.at.type), literal(place.id, self.id.type))
        return here > there if greater else here < there
