"""The contract: what was agreed upon, described throughout, and told apart by what a change means."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType
from graphql.type import is_introspection_type, is_specified_scalar_type

from schema.build import build_schema, print_schema_text
from schema.snapshot import SNAPSHOT, Change, Severity, find_changes, find_deprecations

TODAY = date(2026, 11, 23)
BEFORE = "type Query { a(first: Int): Int  b: E } enum E { X } input I { c: Int }"


def test_contract_is_the_snapshot() -> None:
    """Whoever changes the contract sees what that means to clients, and writes the snapshot anew."""
    changes = find_changes(SNAPSHOT.read_text(), print_schema_text(), today=datetime.now(UTC).date())
    listed = "\n".join(map(str, changes))
    assert not changes, f"The contract changed. If it is meant, run `make schema` and review the difference:\n{listed}"


def describables() -> Iterator[tuple[str, str | None]]:
    """Every place of the schema that clients may read about, with its description."""
    for name, kind in build_schema()._schema.type_map.items():
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        yield name, kind.description
        if isinstance(kind, GraphQLEnumType):
            yield from ((f"{name}.{value}", made.description) for value, made in kind.values.items())
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            yield from ((f"{name}.{field}", made.description) for field, made in kind.fields.items())
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field, made in kind.fields.items():
                yield from ((f"{name}.{field}({arg})", told.description) for arg, told in made.args.items())


def test_everything_is_described() -> None:
    """Types, fields, arguments and enum values, and there are many."""
    places = dict(describables())
    assert len(places) > 300
    assert [place for place, description in places.items() if not description] == []


@pytest.mark.parametrize(
    ("after", "severity", "said"),
    [
        ("type Query { b: E } enum E { X } input I { c: Int }", Severity.BREAKING, "Query.a was removed"),
        (
            "type Query { a(first: Int): String  b: E } enum E { X } input I { c: Int }",
            Severity.BREAKING,
            "Int to String",
        ),
        ("type Query { a(first: Int!): Int  b: E } enum E { X } input I { c: Int }", Severity.BREAKING, "first"),
        ("type Query { a(first: Int): Int  b: E } enum E { X Y } input I { c: Int }", Severity.DANGEROUS, "Y"),
        ("type Query { a(first: Int): Int  b: E } enum E { X } input I { c: Int d: Int }", Severity.DANGEROUS, "d"),
        ("type Query { a(first: Int): Int  b: E c: Int } enum E { X } input I { c: Int }", Severity.SAFE, "c: Int"),
        ('type Query { "new" a(first: Int): Int  b: E } enum E { X } input I { c: Int }', Severity.SAFE, '"new"'),
    ],
)
def test_changes_are_told_apart_by_what_they_mean(after: str, severity: Severity, said: str) -> None:
    """The worst is told first."""
    changes = find_changes(BEFORE, after, today=TODAY)
    assert changes[0].severity is severity
    assert any(said in change.what for change in changes if change.severity is severity)


def deprecated(reason: str) -> str:
    """The contract with one thing of each kind deprecated."""
    mark = f'@deprecated(reason: "{reason}")'
    return f"type Query {{ a(first: Int {mark}): Int {mark}  b: E }} enum E {{ X {mark} }} input I {{ c: Int {mark} }}"


@pytest.mark.parametrize("reason", ["Use b.", "Use b; goes on 2026-12-24.", "Use b; goes on 2027-02-20."])
def test_deprecations_without_notice_are_breaking(reason: str) -> None:
    """Whoever has to change something has 90 days, wherever it is."""
    breaking = [
        change
        for change in find_changes(BEFORE, deprecated(reason), today=TODAY)
        if change.severity is Severity.BREAKING
    ]
    assert {change.what.split()[0] for change in breaking} == {"Query.a", "Query.a(first)", "E.X", "I.c"}


def test_deprecations_with_notice_are_safe_and_seen() -> None:
    """Adding one, rewording it and dropping it each differ, and hurt nobody."""
    good, reworded = deprecated("Use b; goes on 2027-02-21."), deprecated("Use b instead; goes on 2027-02-21.")
    for before, after in [(BEFORE, good), (good, reworded), (good, BEFORE)]:
        changes = find_changes(before, after, today=TODAY)
        assert {change.severity for change in changes} == {Severity.SAFE}
    assert find_changes(good, good, today=date(2027, 2, 20)) == []


def test_deprecation_dates_cannot_be_moved_closer() -> None:
    """A new date needs its notice, too."""
    changes = find_changes(deprecated("Goes on 2027-06-01."), deprecated("Goes on 2026-12-01."), today=TODAY)
    assert changes[0].severity is Severity.BREAKING


def test_own_deprecations_say_when_they_go() -> None:
    """Each reason of the served schema names a day."""
    assert [place for place, reason in find_deprecations(build_schema()._schema) if "20" not in reason] == []


def test_changes_read_as_one_line() -> None:
    """As a failing test prints them."""
    assert str(Change(Severity.SAFE, "+  c: Int")) == "SAFE: +  c: Int"
