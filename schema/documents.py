"""Documents that were parsed, measured and validated before, so that a client's usual ones cost nothing again."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionSetNode,
    specified_rules,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.analysis import DocumentMeasure, measure_document
from schema.naming import OperationFacts, describe_operations
from schema.selection import Outlines
from schema.sizes import find_sizes, operations_of, read_sizes
from schema.validating import validate_document
from services.domain.errors import CrierError, ErrorCode

PREPARED = "prepared"
"""Where the operation's `PreparedDocument` stands among the context's extras."""
_SIZES_KEPT = 100
_CHARACTERS_KEPT = 250_000
"""Of all documents together: parsed, one character may take 200 bytes."""
_ERRORS_TOLD = 5
"""Each may print all that it speaks of."""
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """What one document may ask for; `None` anywhere would be an invitation, so there is none."""

    characters: int = 32_000
    lines: int = 2_000
    tokens: int = 1_700
    literals: int = 250
    """Values in the lists and objects of the document itself."""
    values: int = 1_000
    """In all variables together, those inside of others included."""
    length: int = 100
    """Of one list, or one object, among the variables."""
    operations: int = 50
    fragments: int = 200
    variables: int = 100
    spreads: int = 250
    """Fragments as they stand in the text, inline ones included."""
    written: int = 800
    """Fields as they stand in the text."""
    depth: int = 16
    root_fields: int = 20
    fields: int = 2_000
    """Fields as they are asked for: those of a fragment wherever it is spread."""
    aliases: int = 100
    directives: int = 100
    comparisons: int = 200_000
    reach: int = 2_500
    cost: int = 5_000

    def in_text(self) -> dict[str, int]:
        """What the parser counts, for whoever brings too much of it need not be read to the end."""
        return {
            "operations": self.operations,
            "fragments": self.fragments,
            "variables": self.variables,
            "spreads of fragments": self.spreads,
            "fields in its text": self.written,
            "aliases": self.aliases,
            "directives": self.directives,
        }


class QueryTooComplex(CrierError):
    """A document beyond one of the limits; nothing of it was run."""

    code = ErrorCode.QUERY_TOO_COMPLEX


@dataclass(slots=True)
class PreparedDocument:
    """A document with all that is known about it; `errors` say why it is never run, None that nobody knows yet."""

    document: DocumentNode
    errors: tuple[GraphQLError, ...] | None
    size_variables: frozenset[str]
    measures: OrderedDict[tuple[tuple[str, int], ...], DocumentMeasure] = field(default_factory=OrderedDict)
    outlines: Outlines = field(default_factory=Outlines)
    facts: Mapping[str, OperationFacts] = field(default_factory=dict)
    """Of its operations by name; empty where it is never run."""

    def facts_of(self, name: str | None) -> OperationFacts | None:
        """Of the operation that a client means; None where that is not clear."""
        if name is None and len(self.facts) == 1:
            return next(iter(self.facts.values()))
        return self.facts.get(name or "")

    def measure(self, schema: GraphQLSchema, variables: Mapping[str, Any]) -> DocumentMeasure:
        """The document's measure with these variables; remembered, since pages come in few sizes."""
        sizes = read_sizes(self.size_variables, self.document, variables)
        key = tuple(sorted(sizes.items()))
        if key not in self.measures:
            self.measures[key] = measure_document(self.document, schema, sizes)
            if len(self.measures) > _SIZES_KEPT:
                self.measures.popitem(last=False)
        return self.measures[key]

    def refuse(self, errors: Iterable[GraphQLError]) -> None:
        """Remember why, and of the document no more than which operations it has: a hostile one is all the rest."""
        self.errors = tuple(
            GraphQLError(
                error.message, source=error.source, positions=error.positions, original_error=error.original_error
            )
            for error in errors
        )
        self.document = DocumentNode(definitions=tuple(_only_named(node) for node in operations_of(self.document)))
        self.measures.clear()


def _only_named(node: OperationDefinitionNode) -> OperationDefinitionNode:
    return OperationDefinitionNode(
        operation=node.operation,
        name=node.name,
        variable_definitions=(),
        directives=(),
        selection_set=SelectionSetNode(selections=()),
    )


class DocumentCache:
    """The last `capacity` documents of one schema, by their text.

    Where the schema `is_open`, documents may ask for it (introspection), and wrong names are answered with right ones.
    """

    def __init__(self, *, limits: DocumentLimits, is_open: bool = True, capacity: int = 500) -> None:
        self.limits = limits
        self.is_open = is_open
        self.rules = _RULES if is_open else (*_RULES, NoSchemaIntrospectionCustomRule)
        self._capacity = capacity
        self._characters = 0
        self._prepared: OrderedDict[str, PreparedDocument] = OrderedDict()
        self._turns = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """For whoever looks at a document that is new: one at a time, and after each the loop sees to everybody else.
        Who asks for something quick, as probes do, need not wait for every attacker's document first."""
        async with self._turns:
            try:
                yield
            finally:
                await asyncio.sleep(0)

    def find(self, text: str) -> PreparedDocument | None:
        """What is known about a document that was seen lately."""
        prepared = self._prepared.get(text)
        if prepared is not None:
            self._prepared.move_to_end(text)
        return prepared

    def prepare(self, text: str, document: DocumentNode, schema: GraphQLSchema) -> PreparedDocument:
        """Measure a new document, and remember it."""
        prepared = PreparedDocument(document, None, find_sizes(document))
        try:
            check_shape(prepared.measure(schema, {}), self.limits)
        except QueryTooComplex as error:
            # Without the frames of its making, which hold the document.
            prepared.refuse([GraphQLError(str(error), original_error=error.with_traceback(None))])
        self._keep(text, prepared)
        return prepared

    def validate(self, prepared: PreparedDocument, schema: GraphQLSchema) -> tuple[GraphQLError, ...]:
        """What is wrong with a document that is small enough to be looked at; its first few mistakes, found once."""
        if prepared.errors is None:
            document = prepared.document
            errors = validate_document(
                schema, document, self.rules, max_errors=_ERRORS_TOLD, hide_suggestions=not self.is_open
            )
            if errors:
                prepared.refuse(errors)
            else:
                prepared.errors, prepared.facts = (), describe_operations(document)
        return prepared.errors or ()

    def _keep(self, text: str, prepared: PreparedDocument) -> None:
        self._prepared[text] = prepared
        self._characters += len(text)
        while len(self._prepared) > self._capacity or self._characters > _CHARACTERS_KEPT:
            forgotten, _ = self._prepared.popitem(last=False)
            self._characters -= len(forgotten)


def check_text(text: str, limits: DocumentLimits) -> None:
    """Raise QueryTooComplex for a text that even to read would cost too much."""
    _hold("characters", len(text), limits.characters)
    _hold("lines", text.count("\n") + text.count("\r"), limits.lines)


def count_values(variables: Mapping[str, Any], limits: DocumentLimits) -> int:
    """How many values the variables hold. Raises QueryTooComplex, and counts no further, beyond a limit."""
    stack: list[Any] = [variables]
    number = 0
    while stack:
        value = stack.pop()
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        if len(inner) > limits.length and value is not variables:
            raise QueryTooComplex(f"A list or an object may hold {limits.length} values; one here has {len(inner)}.")
        number += len(inner)
        if number > limits.values:
            raise QueryTooComplex(f"The variables have more than {limits.values} values, which is the most.")
        stack.extend(inner)
    return number


def check_shape(measure: DocumentMeasure, limits: DocumentLimits) -> None:
    """Raise QueryTooComplex, naming the limit, for a document that even to validate would cost too much."""
    for operation in measure.operations.values():
        for name, amount, most in (
            ("levels of fields", operation.depth, limits.depth),
            ("root fields", operation.root_fields, limits.root_fields),
            ("fields", operation.fields, limits.fields),
            ("aliases", operation.aliases, limits.aliases),
            ("directives", operation.directives, limits.directives),
        ):
            _hold(name, amount, most)
    _hold("comparisons of repeated fields", measure.comparisons, limits.comparisons)
    _hold("operations times fragments", measure.reach, limits.reach)
    _hold("values in lists and objects", measure.values, limits.literals)


def check_cost(cost: int, limits: DocumentLimits) -> None:
    """Raise QueryTooComplex for an operation that would read too many objects, or brings too much."""
    if cost > limits.cost:
        raise QueryTooComplex(
            f"The operation's cost is {cost}, for it may read so many objects; {limits.cost} is the limit. "
            "Ask for shorter lists."
        )


def _hold(name: str, amount: int, most: int) -> None:
    if amount > most:
        raise QueryTooComplex(f"The document has {amount} {name}; {most} are allowed.")
