"""What is on its way out of the contract, why, and until when it stays: `"Use `b`; goes on 2027-06-01."`."""

import re
from collections.abc import Iterator
from datetime import date, timedelta

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
)

NOTICE = timedelta(days=90)
"""So long before its removal something must be deprecated."""

_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_WORD = re.compile(r"[^\W\d_]{2,}")


def find_deprecations(schema: GraphQLSchema) -> Iterator[tuple[str, str]]:
    """Everything that is deprecated, as its place (`Post.caption`) and the reason."""
    for name, kind in schema.type_map.items():
        if name.startswith("__"):
            continue
        if isinstance(kind, GraphQLEnumType):
            for value_name, value in kind.values.items():
                if value.deprecation_reason is not None:
                    yield f"{name}.{value_name}", value.deprecation_reason
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in kind.fields.items():
                if field.deprecation_reason is not None:
                    yield f"{name}.{field_name}", field.deprecation_reason
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field_name, field in kind.fields.items():
                for argument_name, argument in field.args.items():
                    if argument.deprecation_reason is not None:
                        yield f"{name}.{field_name}({argument_name})", argument.deprecation_reason


def find_faults(old: GraphQLSchema, new: GraphQLSchema, today: date) -> Iterator[str]:
    """What is wrong with deprecations that are new, or whose reason or date is another than before."""
    known = dict(find_deprecations(old))
    for place, reason in find_deprecations(new):
        if not _WORD.search(_DATE.sub("", reason)):
            yield f"{place} was deprecated without a reason."
        dates = read_dates(reason)
        if place in known and dates and dates == read_dates(known[place]):
            continue  # its notice was given when the date was
        if not any(day >= today + NOTICE for day in dates):
            yield f"{place} was deprecated without a removal date at least {NOTICE.days} days ahead."


def tell_apart(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[str]:
    """Which deprecations came, were put in other words, or were dropped while the thing stayed."""
    before, after = dict(find_deprecations(old)), dict(find_deprecations(new))
    for place in sorted(before.keys() | after.keys()):
        match before.get(place), after.get(place):
            case None, str(reason):
                yield f"{place} is deprecated: {reason}"
            case str(reason), None:
                yield f"{place} is no longer deprecated, or is gone; it was: {reason}"
            case was, now if was != now:
                yield f"{place} is deprecated in other words: {now}"


def read_dates(reason: str) -> list[date]:
    """The days that a reason names; what looks like one and is none does not count."""
    found = []
    for text in _DATE.findall(reason):
        try:
            found.append(date.fromisoformat(text))
        except ValueError:
            continue
    return found
