"""The contract: what was agreed upon, described throughout, and told apart by what a change means."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    Visitor,
    parse,
    print_ast,
    visit,
)
from graphql import build_schema as parse_schema
from graphql.type import is_introspection_type, is_specified_scalar_type

from schema.build import build_schema, print_schema_text
from schema.deprecations import find_faults
from schema.snapshot import SNAPSHOT, Change, Severity, find_changes
from tests.schema.plants import Deprecated, Reworded, Undescribed, WithMore, WithoutLast

TODAY = date(2026, 11, 23)
BEFORE = "type Query { a(first: Int): Int  b: E } enum E { X } input I { c: Int }"


def test_contract_is_the_snapshot() -> None:
    """Whoever changes the contract sees what that means to clients, and writes the snapshot anew."""
    changes = find_changes(SNAPSHOT.read_text(), print_schema_text(), today=datetime.now(UTC).date())
    listed = "\n".join(map(str, changes))
    assert not changes, f"The contract changed. If it is meant, run `make schema` and review the difference:\n{listed}"


def describables(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """Every place of the schema that clients may read about, with its description."""
    for name, kind in schema.type_map.items():
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
    places = dict(describables(build_schema()._schema))
    assert len(places) > 300
    assert [place for place, description in places.items() if not description] == []


def test_nothing_undescribed_goes_unseen() -> None:
    """Without its descriptions, every place of the contract is missed."""
    bare = parse_schema(print_ast(visit(parse(SNAPSHOT.read_text()), Undescribed())))
    missed = {place for place, description in describables(bare) if not description}
    assert missed == dict(describables(build_schema()._schema)).keys()


@pytest.mark.parametrize(
    ("after", "severity", "said"),
    [
        ("type Query { b: E } enum E { X } input I { c: Int }", Severity.BREAKING, "Field Query.a was removed"),
        (
            "type Query { a(first: Int): String  b: E } enum E { X } input I { c: Int }",
            Severity.BREAKING,
            "Int to String",
        ),
        ("type Query { a(first: Int!): Int  b: E } enum E { X } input I { c: Int }", Severity.BREAKING, "first"),
        ("type Query { a(first: Int): Int  b: E } enum E { X Y } input I { c: Int }", Severity.DANGEROUS, "Y"),
        ("type Query { a(first: Int): Int  b: E } enum E { X } input I { c: Int d: Int }", Severity.DANGEROUS, "d"),
        ("type Query { a(first: Int): Int  b: E } enum E { X } input I { c: Int = 1 }", Severity.DANGEROUS, "I.c"),
        ("type Query { a(first: Int): Int  b: E c: Int } enum E { X } input I { c: Int }", Severity.SAFE, "Query.c"),
        ('type Query { "new" a(first: Int): Int  b: E } enum E { X } input I { c: Int }', Severity.SAFE, "new"),
        ("type Query { b: E a(first: Int): Int } enum E { X } input I { c: Int }", Severity.SAFE, "b: E"),
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


@pytest.mark.parametrize("reason", ["2027-06-01", "2027-06-01.", "", "1 2 2027-06-01"])
def test_deprecations_need_a_reason(reason: str) -> None:
    """A date alone tells nobody what to do instead."""
    said = [change.what for change in find_changes(BEFORE, deprecated(reason), today=TODAY)]
    assert "Query.a was deprecated without a reason." in said


def test_days_that_no_calendar_has_are_no_dates() -> None:
    """A slip of the pen is told, and stops nothing."""
    said = [change.what for change in find_changes(BEFORE, deprecated("Goes on 2027-13-45."), today=TODAY)]
    assert "I.c was deprecated without a removal date at least 90 days ahead." in said


def test_own_deprecations_say_why_and_when() -> None:
    """As though the whole contract were new; a date that has come since is no fault."""
    long_ago = date(2020, 1, 1)
    assert list(find_faults(parse_schema("type Query { a: Int }"), build_schema()._schema, long_ago)) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("type Query { a(b: Int! = 1): Int }", "type Query { a(b: Int!): Int }", "Query.a(b) has lost its default"),
        ("type Query { a(i: I): Int } input I { c: Int! = 1 }", "type Query { a(i: I): Int } input I { c: Int! }", "I"),
        (
            "type Query { a(i: I): Int } input I { c: Int }",
            "type Query { a(i: I): Int } input I @oneOf { c: Int }",
            "I",
        ),
        (
            "type Query { a: Int } type M { b: Int } schema { query: Query mutation: M }",
            "type Query { a: Int } type M { b: Int } schema { query: Query }",
            "M is no longer the mutation root",
        ),
    ],
)
def test_what_graphql_core_takes_for_harmless_is_breaking(before: str, after: str, said: str) -> None:
    """What a client left out is wanted now, or what it began with is gone."""
    changes = find_changes(before, after, today=TODAY)
    assert (changes[0].severity, changes[0].what[: len(said)]) == (Severity.BREAKING, said)


def test_changes_read_as_one_line() -> None:
    """As a failing test prints them."""
    assert str(Change(Severity.SAFE, "Field Query.c was added.")) == "SAFE: Field Query.c was added."


def planted(visitor: Visitor) -> list[Change]:
    """What is found when the whole contract is changed so."""
    before = SNAPSHOT.read_text()
    return find_changes(before, print_ast(visit(parse(before), visitor)), today=TODAY)


def test_every_loss_in_the_contract_is_breaking() -> None:
    """One thing of each type is dropped: each is named as gone."""
    drop = WithoutLast()
    breaking = [change.what for change in planted(drop) if change.severity is Severity.BREAKING]
    assert len(drop.dropped) > 60
    assert [place for place in drop.dropped if not any(gone(place, what) for what in breaking)] == []


def gone(place: str, what: str) -> bool:
    """Whether a change says that this place is no more."""
    kind, name = place.split(".")
    return (what.endswith("was removed.") and place in what) or what == f"{name} was removed from enum type {kind}."


def test_every_gain_in_the_contract_is_dangerous_or_safe() -> None:
    """A value or an input more may surprise somebody, a field more nobody."""
    more = WithMore()
    changes = planted(more)
    told = {
        severity: " ".join(change.what for change in changes if change.severity is severity) for severity in Severity
    }
    assert told[Severity.BREAKING] == ""
    assert [kind for kind in more.surprising if kind not in told[Severity.DANGEROUS]] == []
    assert [kind for kind in more.harmless if f"{kind}.news" not in told[Severity.SAFE]] == []


def test_every_description_in_other_words_is_safe_and_seen() -> None:
    """Each place is named once."""
    changes = planted(Reworded())
    assert {change.severity for change in changes} == {Severity.SAFE}
    assert len(changes) == len(dict(describables(build_schema()._schema)))


def test_everything_can_be_deprecated_with_notice_and_nothing_without() -> None:
    """The whole contract at once."""
    good = planted(Deprecated("Goes on 2027-06-01."))
    assert {change.severity for change in good} == {Severity.SAFE}
    bad = [change for change in planted(Deprecated("Goes soon.")) if change.severity is Severity.BREAKING]
    assert len(bad) == len(good) > 300
