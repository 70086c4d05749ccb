"""The walk over a document agrees with one that expands everything, and takes no longer for bombs."""

import time
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    build_schema,
    parse,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.analysis import measure_document
from schema.sizes import find_sizes, read_sizes

SCHEMA = build_schema(
    """
    type Query {
      a: Int node: Node all: [Thing] some(ids: [ID!]!): [Thing!]! things(first: Int, last: Int): ThingConnection
    }
    interface Node { id: ID }
    type ThingConnection { edges: [ThingEdge] nodes: [Thing!]! total: Int }
    type ThingEdge { node: Thing cursor: String }
    type Thing implements Node { id: ID name: String parts: [Thing!] one: Thing things(first: Int): ThingConnection }
    """
)


def cost(query: str, **variables: Any) -> int:
    """What the only operation costs."""
    document = parse(query)
    sizes = read_sizes(find_sizes(document), document, variables)
    measure = measure_document(document, SCHEMA, sizes)
    return next(iter(measure.operations.values())).cost


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{a}", 0),
        ("{node {id}}", 1),
        ("{things(first: 10) {total}}", 1),
        ("{things(first: 10) {nodes {id}}}", 1 + 10),
        ("{things(first: 10) {edges {node {id}}}}", 1 + 10 * 2),
        ("{things(last: 3) {edges {node {id}} nodes {id}}}", 1 + 3 * 3),
        ("{things {nodes {id}}}", 1 + 20),
        ("{things(first: 100000) {nodes {id}}}", 1 + 100),
        ("{things(first: -1) {nodes {id}}}", 1),
        ("{all {id}}", 5),
        ("{all {parts {id}}}", 5 * (1 + 5)),
        ('{some(ids: ["a", "b", "c"]) {one {id}}}', 3 * 2),
        ("{things(first: 10) {nodes {things(first: 10) {nodes {id}}}}}", 1 + 10 * (1 + 1 + 10)),
        ("{things(first: 10) {...F}} fragment F on ThingConnection {nodes {...G}} fragment G on Thing {one {id}}", 21),
        ("{node {... on Thing {one {id}}}}", 2),
        ("{unknown {deeper {still}}}", 0),
    ],
)
def test_cost_counts_objects_times_list_lengths(query: str, expected: int) -> None:
    """Leaves are free; a page costs what it may hold at most."""
    assert cost(query) == expected


def test_cost_follows_the_variables() -> None:
    """Given ones, their defaults, else one page; nonsense is a page."""
    query = "query ($n: Int = 7, $ids: [ID!]!) {things(first: $n) {nodes {id}} some(ids: $ids) {id}}"
    assert cost(query, n=3, ids=["a"]) == 1 + 3 + 1
    assert cost(query, ids=["a", "b"]) == 1 + 7 + 2
    assert cost(query, n="x", ids=["a"]) == 1 + 20 + 1
    assert cost(query.replace(" = 7", ""), ids=["a"]) == 1 + 20 + 1


FRAGMENTS = ("F0", "F1", "F2")


@st.composite
def selections(draw: st.DrawFn, deep: int = 3, from_fragment: int = 0) -> str:
    """A selection set over `Thing`; fragments spread only later ones, so that there is no circle."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        kinds = ["leaf", "alias"] + (["one", "parts", "page", "inline"] if deep else [])
        kinds += ["spread"] if from_fragment < len(FRAGMENTS) else []
        match draw(st.sampled_from(kinds)):
            case "leaf":
                parts.append("id")
            case "alias":
                parts.append(f"x{draw(st.integers(0, 2))}: name @include(if: true)")
            case "one":
                parts.append(f"one {draw(selections(deep - 1, from_fragment))}")
            case "parts":
                parts.append(f"p: parts {draw(selections(deep - 1, from_fragment))}")
            case "page":
                size = draw(st.integers(0, 9))
                parts.append(f"things(first: {size}) {{ nodes {draw(selections(deep - 1, from_fragment))} }}")
            case "inline":
                parts.append(f"... on Thing {draw(selections(deep - 1, from_fragment))}")
            case "spread":
                parts.append(f"...{FRAGMENTS[draw(st.integers(from_fragment, len(FRAGMENTS) - 1))]}")
    return "{ " + " ".join(parts) + " }"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A query over things with all three fragments."""
    fragments = " ".join(
        f"fragment {name} on Thing {draw(selections(2, index + 1))}" for index, name in enumerate(FRAGMENTS)
    )
    return f"query {{ all {draw(selections())} }} {fragments}"


class Oracle:
    """Expands every spread in place, and counts what it sees."""

    def __init__(self, document: DocumentNode) -> None:
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.fields = self.aliases = self.directives = self.depth = 0

    def look(self, selection_set: Any, depth: int = 1) -> None:
        """Count fields, aliases, directives and levels."""
        for node in selection_set.selections:
            self.directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                self.fields += 1
                self.aliases += node.alias is not None
                self.depth = max(self.depth, depth)
                if node.selection_set:
                    self.look(node.selection_set, depth + 1)
            elif isinstance(node, InlineFragmentNode):
                self.look(node.selection_set, depth)
            else:
                self.look(self.fragments[node.name.value].selection_set, depth)

    def read(self, selection_set: Any) -> int:
        """How many objects reading a thing's selection gives, counted one by one."""
        total = 0
        for node in selection_set.selections:
            if isinstance(node, InlineFragmentNode):
                total += self.read(node.selection_set)
            elif not isinstance(node, FieldNode):
                total += self.read(self.fragments[node.name.value].selection_set)
            elif node.name.value == "one":
                total += 1 + self.read(node.selection_set)
            elif node.name.value == "parts":
                total += sum(1 + self.read(node.selection_set) for _ in range(5))
            elif node.name.value == "things":
                size = int(node.arguments[0].value.value)  # type: ignore[attr-defined]  # a literal, as generated
                inner = node.selection_set.selections[0].selection_set  # type: ignore[union-attr]  # `nodes`
                total += 1 + sum(1 + self.read(inner) for _ in range(size))
        return total


@settings(max_examples=150, deadline=None)
@given(documents())
def test_measure_equals_that_of_the_expanded_document(query: str) -> None:
    """Fragments measured once and multiplied count as if they stood everywhere they are spread."""
    document = parse(query)
    measure = measure_document(document, SCHEMA, {}).operations[""]
    oracle = Oracle(document)
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    oracle.look(operation.selection_set)
    assert (measure.fields, measure.aliases, measure.directives, measure.depth) == (
        oracle.fields,
        oracle.aliases,
        oracle.directives,
        oracle.depth,
    )
    everything = operation.selection_set.selections[0].selection_set  # type: ignore[attr-defined]  # `all`
    assert measure.cost == 5 * (1 + oracle.read(everything))


def bomb(levels: int, body: str = "...F{next} ...F{next}") -> str:
    """Fragments that each spread the next one twice."""
    chain = " ".join(f"fragment F{n} on Thing {{ {body.replace('{next}', str(n + 1))} }}" for n in range(levels))
    return f"{{ node {{ ...F0 }} }} {chain} fragment F{levels} on Thing {{ id }}"


@pytest.mark.parametrize("body", ["...F{next} ...F{next}", "a: one { ...F{next} } b: one { ...F{next} }"])
def test_two_thousand_doubling_fragments_are_measured_and_not_walked(body: str) -> None:
    """The count would have six hundred digits; it stops where it is too much anyway."""
    document = parse(bomb(2_000, body))
    began = time.process_time()
    measure = measure_document(document, SCHEMA, {})
    assert time.process_time() - began < 2  # expanding it would outlast the sun
    assert measure.operations[""].fields == 10**9


def test_circles_of_fragments_end() -> None:
    """Validation refuses them; measuring must survive until then."""
    query = "{node {...A}} fragment A on Thing {one {...B}} fragment B on Thing {one {...A}} fragment C on Thing {...C}"
    assert measure_document(parse(query), SCHEMA, {}).operations[""].fields >= 1


def compared(query: str, schema: GraphQLSchema = SCHEMA) -> int:
    """How many comparisons validation may take."""
    return measure_document(parse(query), schema, {}).comparisons


def test_comparisons_count_pairs_of_namesakes() -> None:
    """Below each other and across fragments; different names cost nothing."""
    assert compared("{a b: a c: a}") == 0
    assert compared("{a a a a}") == 6
    assert compared("{...F a} fragment F on Query {a a}") == 3 + 1
    assert compared("{node {id} node {id}}") == 51
    assert compared("{" + "node {id} " * 450 + "}") == 450 * 449 // 2 * 51
