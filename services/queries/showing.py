"""States in the shape of what was selected of them, read off the same tables as statements are.

What watchers are told comes as rows already. Walked by graphql-core, field by field, one telling takes several times
as long as all else about it; so a selection is worked out once, and each state is shown by what came out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from services.domain.moments import write_moment
from services.domain.selection import TYPENAME, Selected, Selection
from services.queries.mappings import MAPPINGS
from services.queries.mappings.fields import Column, Field, Id, Many, Member, Moment, One, OrElse, Part, Word
from services.queries.states import StateRows

Show = Callable[[StateRows], bytes | None]
"""A state as JSON; None where its rows do not hold all that is to be shown: an older release wrote them."""

_Row = Mapping[str, Any]
_Read = Callable[[_Row, StateRows], Any]
"""The value of a field, from its object's row and the state that this is of."""

_LISTS = {"PostTarget": "targets", "Media": "media"}
_CONSTANTS = {"''": "", "false": False}


class _NotInStates(LookupError):
    """A field whose value comes from elsewhere."""


@lru_cache(maxsize=100)
def show_posts(selection: Selection) -> Show | None:
    """Shows states as the posts of this selection; None where states do not hold all of it."""
    try:
        read = _read_object("Post", selection)
    except LookupError:  # or a field that is not mapped
        return None

    def show(state: StateRows) -> bytes | None:
        try:
            return orjson.dumps(read(state["post"], state))
        except (LookupError, TypeError):
            return None

    return show


def _read_object(of: str, selection: Selection) -> _Read:
    fields = tuple((field.key, _read_field(of, field)) for field in selection.by_type[of])
    return lambda row, state: {key: read(row, state) for key, read in fields}


def _read_field(of: str, field: Selected) -> _Read:
    if field.name == TYPENAME:
        return lambda row, state: of
    source = MAPPINGS[of].fields[field.name]
    return _read_leaf(source) if field.below is None else _read_below(source, field.below)


def _read_leaf(source: Field) -> _Read:
    match source:
        case Column(name) | Word(name):
            return lambda row, state: row[name]
        case OrElse(name, otherwise):
            constant = _CONSTANTS[otherwise]
            return lambda row, state: constant if row[name] is None else row[name]
        case Moment(name):
            return lambda row, state: None if row[name] is None else write_moment(datetime.fromisoformat(row[name]))
        case Id(kind):
            return lambda row, state: f"{kind}_{row['id'].replace('-', '')}"
        case Member(column, name):
            return lambda row, state: row[column][name]
    raise _NotInStates


def _read_below(source: Field, below: Selection) -> _Read:
    match source:
        case Part(of, unless_null, kind):
            types = {None: of} if isinstance(of, str) else of
            reads = {word: _read_object(type_, below) for word, type_ in types.items()}
            return lambda row, state: None if row[unless_null] is None else reads[kind and row[kind]](row, state)
        case One("Account", by):
            read = _read_object("Account", below)
            return lambda row, state: read(_find(state["accounts"], row[by]), state)
        case Many(of, _, _) if of in _LISTS:
            read_each, name = _read_object(of, below), _LISTS[of]
            return lambda row, state: [read_each(one, state) for one in state[name]]
    raise _NotInStates


def _find(rows: list[_Row], key: str) -> _Row:
    for row in rows:
        if row["id"] == key:
            return row
    raise LookupError(key)
