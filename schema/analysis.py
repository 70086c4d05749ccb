"""What a document asks for, measured in one linear walk before it is validated.

Every fragment is measured once, however often it is spread, and its measure is counted at every spread: two thousand
fragments that spread each other twice are multiplied, not walked. Counts stop at `_ENDLESS`.

The cost of a selection is one per object, times the length of the lists it stands in: what `first`, `last` or `ids`
say, one page where they are left out, and a guess where a list has no such argument. Leaves cost nothing.

Comparisons estimate what validation does to see whether fields of the same name may be merged: it compares all pairs,
and all pairs below them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    type_from_ast,
)

from schema.sizes import (
    SIZE_ARGUMENTS,
    Sizes,
    clamp,
    count_values,
    literal_size,
    operations_of,
    selections_of,
)
from services.domain.pages import DEFAULT_SIZE

_LIST_GUESS = 5
_OBJECT_WEIGHT = 50
"""Comparing two objects takes so many times what comparing two leaves does (about 50 ns), what is below them aside."""
_INTROSPECTION = {"__schema": 2_000, "__type": 200}
"""What these cost besides: their lists are long, and walked field by field."""
_ENDLESS = 10**9


class _Namesakes(NamedTuple):
    """Fields that share a response name in one selection set."""

    number: int
    weight: int
    """What comparing two of them takes."""


_LEAF = _Namesakes(1, 1)


@dataclass(slots=True)
class Measure:
    """How much a selection set holds, spreads included; `listed` is the cost below a connection's own lists."""

    root_fields: int = 0
    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    cost: int = 0
    listed: int = 0
    names: dict[str, _Namesakes] = field(default_factory=dict)

    def add(self, other: "Measure") -> None:
        """Count what another selection set brings to the same place."""
        self.root_fields = min(_ENDLESS, self.root_fields + other.root_fields)
        self.depth = max(self.depth, other.depth)
        self.fields = min(_ENDLESS, self.fields + other.fields)
        self.aliases = min(_ENDLESS, self.aliases + other.aliases)
        self.directives = min(_ENDLESS, self.directives + other.directives)
        self.cost = min(_ENDLESS, self.cost + other.cost)
        self.listed = min(_ENDLESS, self.listed + other.listed)
        for name, namesakes in other.names.items():
            self.note(name, namesakes)

    def note(self, name: str, namesakes: _Namesakes) -> None:
        """Count fields under their response name."""
        known = self.names.get(name)
        if known is not None:
            namesakes = _Namesakes(min(_ENDLESS, known.number + namesakes.number), max(known.weight, namesakes.weight))
        self.names[name] = namesakes

    def note_leaf(self, name: str) -> None:
        """Count one field that has no more to compare than its arguments."""
        known = self.names.get(name)
        self.names[name] = _LEAF if known is None else _Namesakes(min(_ENDLESS, known.number + 1), known.weight)

    def compare(self) -> int:
        """How many comparisons the namesakes of this selection set take among themselves."""
        return min(
            _ENDLESS, sum(n.number * (n.number - 1) // 2 * n.weight for n in self.names.values() if n.number > 1)
        )

    def weigh(self) -> int:
        """What comparing two fields with this selection set takes; two leaves take 1."""
        if not self.names:
            return 1
        return min(_ENDLESS, _OBJECT_WEIGHT + sum(n.number * n.number * n.weight for n in self.names.values()))


_NOTHING = Measure()
"""Below a leaf; nobody adds to it."""


@dataclass(frozen=True, slots=True)
class DocumentMeasure:
    """A whole document: its operations by name ('' for one without), and what validating all of it takes."""

    operations: Mapping[str, Measure]
    comparisons: int
    reach: int
    """Fragments that validation follows, counted once for every operation."""
    values: int
    """In lists and objects that the document itself holds."""


def measure_document(document: DocumentNode, schema: GraphQLSchema, sizes: Sizes) -> DocumentMeasure:
    """Measure every operation; unknown fields, types and fragments count as leaves: validation names them."""
    return _Walk(document, schema, sizes).measure()


class _Walk:
    """One pass over one document."""

    def __init__(self, document: DocumentNode, schema: GraphQLSchema, sizes: Sizes) -> None:
        self._document = document
        self._schema = schema
        self._sizes = sizes
        self._operations = list(operations_of(document))
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._measured: dict[str, Measure] = {}
        self._comparisons = 0

    def measure(self) -> DocumentMeasure:
        """Fragments first, those that others spread before those that spread them; then the operations."""
        for name in self._in_order():
            fragment = self._fragments[name]
            parent = type_from_ast(self._schema, fragment.type_condition)
            self._measured[name] = self._measure_set(fragment.selection_set, parent)
        operations = {}
        for operation in self._operations:
            root = self._schema.get_root_type(operation.operation)
            measure = self._measure_set(operation.selection_set, root)
            measure.directives += len(operation.directives or ())
            operations[operation.name.value if operation.name else ""] = measure
        reach = len(self._operations) * (1 + len(self._fragments))
        return DocumentMeasure(operations, self._comparisons, reach, count_values(self._document))

    def _in_order(self) -> Iterator[str]:
        """Names of fragments, each after all that it spreads; circles are cut, for validation refuses them."""
        seen: set[str] = set()
        for start in self._fragments:
            stack = [(start, False)]
            while stack:
                name, is_done = stack.pop()
                if is_done:
                    yield name
                elif name not in seen:
                    seen.add(name)
                    stack.append((name, True))
                    stack.extend(
                        (spread.name.value, False)
                        for spread in _spreads_of(self._fragments[name].selection_set)
                        if spread.name.value in self._fragments and spread.name.value not in seen
                    )

    def _measure_set(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None) -> Measure:
        measure = self._collect(selection_set, parent)
        self._comparisons = min(_ENDLESS, self._comparisons + measure.compare())
        return measure

    def _collect(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None) -> Measure:
        """What stands in one set: its fields, and those that inline fragments and spreads put there."""
        total = Measure()
        for selection in selection_set.selections:
            total.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                self._add_field(total, selection, parent)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = type_from_ast(self._schema, condition) if condition else parent
                total.add(self._collect(selection.selection_set, inner))
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value in self._measured:
                total.add(self._measured[selection.name.value])
        return total

    def _add_field(self, total: Measure, node: FieldNode, parent: GraphQLNamedType | None) -> None:
        definition = self._find_definition(node, parent)
        below = _NOTHING
        if node.selection_set is not None:
            inner = get_named_type(definition.type) if definition else None
            below = self._measure_set(node.selection_set, inner)
        self._count(total, node, below)
        if definition is not None and is_composite_type(get_named_type(definition.type)):
            self._add_cost(total, node, definition, below, is_in_connection=_is_connection(parent))

    def _count(self, total: Measure, node: FieldNode, below: Measure) -> None:
        name = (node.alias or node.name).value
        if below is _NOTHING:
            total.root_fields += 1
            total.depth = max(total.depth, 1)
            total.fields += 1
            total.aliases += node.alias is not None
            total.note_leaf(name)
            return
        total.root_fields = min(_ENDLESS, total.root_fields + 1)
        total.depth = max(total.depth, 1 + below.depth)
        total.fields = min(_ENDLESS, total.fields + 1 + below.fields)
        total.aliases = min(_ENDLESS, total.aliases + (node.alias is not None) + below.aliases)
        total.directives = min(_ENDLESS, total.directives + below.directives)
        total.note(name, _Namesakes(1, below.weigh()))

    def _add_cost(
        self, total: Measure, node: FieldNode, definition: GraphQLField, below: Measure, *, is_in_connection: bool
    ) -> None:
        is_list = is_list_type(get_nullable_type(definition.type))
        if is_list and is_in_connection:
            total.listed = min(_ENDLESS, total.listed + 1 + below.cost)
            return
        total.cost = min(_ENDLESS, total.cost + _INTROSPECTION.get(node.name.value, 0))
        size = self._find_size(node, definition)
        times = (_LIST_GUESS if size is None else size) if is_list else 1
        pages = 1 if size is None else size
        total.cost = min(_ENDLESS, total.cost + times * (1 + below.cost) + pages * below.listed)

    def _find_definition(self, node: FieldNode, parent: GraphQLNamedType | None) -> GraphQLField | None:
        if parent is None or not is_composite_type(parent):
            return None
        return self._schema.get_field(parent, node.name.value)

    def _find_size(self, node: FieldNode, definition: GraphQLField) -> int | None:
        """How long the list below a field may be; None where nothing says so."""
        if not any(name in definition.args for name in SIZE_ARGUMENTS):
            return None
        for argument in node.arguments or ():
            if argument.name.value in SIZE_ARGUMENTS:
                value = argument.value
                if isinstance(value, VariableNode):
                    return self._sizes.get(value.name.value, DEFAULT_SIZE)
                return clamp(literal_size(value))
        return DEFAULT_SIZE


def _spreads_of(selection_set: SelectionSetNode) -> Iterator[FragmentSpreadNode]:
    return (node for node in selections_of(selection_set) if isinstance(node, FragmentSpreadNode))


def _is_connection(parent: GraphQLNamedType | None) -> bool:
    return parent is not None and parent.name.endswith("Connection")
