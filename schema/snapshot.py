"""What a change of the contract means for those who rely on it.

BREAKING     a client that works today may fail
DANGEROUS    a client that works today may be surprised, say by a value of an enum that it does not know
SAFE         no client notices: something was added, described or deprecated

Most is found by graphql-core. What it does not see is found here: what became required or exclusive without being
removed, roots that are no longer served, scalars that mean something else, and deprecations.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    is_required_argument,
    is_required_input_field,
)
from graphql.utilities.find_schema_changes import (
    BreakingChange,
    DangerousChange,
    SafeChange,
    SafeChangeType,
    find_schema_changes,
)

from schema.deprecations import find_faults, tell_apart

SNAPSHOT = Path(__file__).with_name("schema.graphql")
"""The contract as it was last agreed upon."""


class Severity(StrEnum):
    """How much a change may hurt."""

    BREAKING = "BREAKING"
    DANGEROUS = "DANGEROUS"
    SAFE = "SAFE"


_ORDER = {severity: place for place, severity in enumerate(Severity)}
_SURPRISING = {SafeChangeType.ARG_DEFAULT_VALUE_ADDED, SafeChangeType.INPUT_FIELD_DEFAULT_VALUE_ADDED}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two contracts."""

    severity: Severity
    what: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.what}"


def find_changes(before: str, after: str, *, today: date) -> list[Change]:
    """What happened between two contracts (SDL), the worst first; empty exactly where they are the same text."""
    if before == after:
        return []
    old, new = build_schema(before), build_schema(after)
    found = [
        *(Change(_judge(change), change.description) for change in find_schema_changes(old, new)),
        *(Change(Severity.BREAKING, what) for what in _lost_roots(old, new)),
        *(Change(Severity.BREAKING, what) for what in _newly_required(old, new)),
        *(Change(Severity.BREAKING, what) for what in find_faults(old, new, today)),
        *(Change(Severity.DANGEROUS, what) for what in _other_meanings(old, new)),
        *(Change(Severity.SAFE, what) for what in tell_apart(old, new)),
    ]
    return sorted(found, key=lambda change: _ORDER[change.severity]) or [*_differing_lines(before, after)]


def _judge(change: BreakingChange | DangerousChange | SafeChange) -> Severity:
    """As graphql-core does, but that a default where there was none is a surprise to those who left it out."""
    if isinstance(change, BreakingChange):
        return Severity.BREAKING
    is_surprise = isinstance(change, DangerousChange) or change.type in _SURPRISING
    return Severity.DANGEROUS if is_surprise else Severity.SAFE


def _differing_lines(before: str, after: str) -> Iterator[Change]:
    """The lines that came and went: no finder names the order of things."""
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=0):
        if not line.startswith(("---", "+++", "@@")):
            yield Change(Severity.SAFE, line)


def _lost_roots(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[str]:
    """A type may still be there, and no longer be where operations begin."""
    for operation in ("query", "mutation", "subscription"):
        was, now = (getattr(schema, f"{operation}_type") for schema in (old, new))
        if was is not None and (now is None or now.name != was.name):
            yield f"{was.name} is no longer the {operation} root."


def _newly_required(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[str]:
    """Inputs of the same type that could be left out, thanks to a default, and input that may now hold one field."""
    for place, was, now in _shared_inputs(old, new):
        if str(was.type) == str(now.type) and _is_required(now) and not _is_required(was):
            yield f"{place} has lost its default and is required now."
    for name, kind in new.type_map.items():
        match old.type_map.get(name), kind:
            case GraphQLInputObjectType(is_one_of=False), GraphQLInputObjectType(is_one_of=True):
                yield f"{name} takes exactly one field now."


def _other_meanings(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[str]:
    """The same text is valid and may mean something else."""
    for name, kind in new.type_map.items():
        match old.type_map.get(name), kind:
            case GraphQLScalarType() as was, GraphQLScalarType() as now if was.specified_by_url != now.specified_by_url:
                yield f"{name} is specified elsewhere now."


_Input = GraphQLArgument | GraphQLInputField


def _is_required(given: _Input) -> bool:
    return is_required_argument(given) if isinstance(given, GraphQLArgument) else is_required_input_field(given)


def _shared_inputs(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[tuple[str, _Input, _Input]]:
    """Arguments and input fields that are in both."""
    before = dict(_inputs(old))
    for place, now in _inputs(new):
        if place in before:
            yield place, before[place], now


def _inputs(schema: GraphQLSchema) -> Iterator[tuple[str, _Input]]:
    for name, kind in schema.type_map.items():
        if isinstance(kind, GraphQLInputObjectType):
            yield from ((f"{name}.{field}", made) for field, made in kind.fields.items())
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field, told in kind.fields.items():
                yield from ((f"{name}.{field}({argument})", made) for argument, made in told.args.items())
