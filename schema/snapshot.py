"""What a change of the contract means for those who rely on it.

BREAKING     a client that works today may fail
DANGEROUS    a client that works today may be surprised, say by a value of an enum that it does not know
SAFE         no client notices: something was added, described or deprecated
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
)

SNAPSHOT = Path(__file__).with_name("schema.graphql")
"""The contract as it was last agreed upon."""

NOTICE = timedelta(days=90)
"""So long before its removal something must be deprecated."""

_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")


class Severity(StrEnum):
    """How much a change may hurt."""

    BREAKING = "BREAKING"
    DANGEROUS = "DANGEROUS"
    SAFE = "SAFE"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two contracts."""

    severity: Severity
    what: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.what}"


def find_changes(before: str, after: str, *, today: date) -> list[Change]:
    """What happened between two contracts (SDL), the worst first; empty exactly where they are the same text."""
    old, new = build_schema(before), build_schema(after)
    return [
        *(Change(Severity.BREAKING, change.description) for change in find_breaking_changes(old, new)),
        *(Change(Severity.BREAKING, what) for what in _hasty_deprecations(old, new, today)),
        *(Change(Severity.DANGEROUS, change.description) for change in find_dangerous_changes(old, new)),
        *(Change(Severity.SAFE, line) for line in _differing_lines(before, after)),
    ]


def _differing_lines(before: str, after: str) -> Iterator[str]:
    """Every line that came or went: what the finders above do not name is in here, too."""
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=0):
        if not line.startswith(("---", "+++", "@@")):
            yield line


def _hasty_deprecations(old: GraphQLSchema, new: GraphQLSchema, today: date) -> Iterator[str]:
    """New deprecations that do not say when the thing goes, or say too soon."""
    known = dict(find_deprecations(old))
    for place, reason in find_deprecations(new):
        if place in known and _DATE.findall(known[place]) == _DATE.findall(reason):
            continue
        if not any(day >= today + NOTICE for day in map(date.fromisoformat, _DATE.findall(reason))):
            yield f"{place} was deprecated without a removal date at least {NOTICE.days} days ahead."


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
