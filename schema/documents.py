"""Documents that were parsed, measured and validated before, so that a client's usual ones cost nothing again."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.analysis import DocumentMeasure, Measure, find_sizes, measure_document, read_sizes
from schema.naming import OperationFacts, describe_operations
from schema.selection import Outlines
from services.domain.errors import CrierError, ErrorCode

PREPARED = "prepared"
"""Where the operation's `PreparedDocument` stands among the context's extras."""
_SIZES_KEPT = 100
_ERRORS_TOLD = 20
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """What one document may ask for; `None` anywhere would be an invitation, so there is none."""

    tokens: int = 2_000
    depth: int = 16
    root_fields: int = 20
    fields: int = 2_000
    aliases: int = 100
    directives: int = 100
    comparisons: int = 200_000
    reach: int = 2_500
    cost: int = 5_000


class QueryTooComplex(CrierError):
    """A document beyond one of the limits; nothing of it was run."""

    code = ErrorCode.QUERY_TOO_COMPLEX


@dataclass(slots=True)
class PreparedDocument:
    """A document with all that is known about it; `errors` say why it is never run."""

    document: DocumentNode
    errors: tuple[GraphQLError, ...]
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


class DocumentCache:
    """The last `capacity` documents of one schema, by their text.

    Where the schema `is_open`, documents may ask for it (introspection), and wrong names are answered with right ones.
    """

    def __init__(self, *, limits: DocumentLimits, is_open: bool = True, capacity: int = 500) -> None:
        self.limits = limits
        self.is_open = is_open
        self.rules = _RULES if is_open else (*_RULES, NoSchemaIntrospectionCustomRule)
        self._capacity = capacity
        self._prepared: OrderedDict[str, PreparedDocument] = OrderedDict()

    def find(self, text: str) -> PreparedDocument | None:
        """What is known about a document that was seen lately."""
        prepared = self._prepared.get(text)
        if prepared is not None:
            self._prepared.move_to_end(text)
        return prepared

    def prepare(self, text: str, document: DocumentNode, schema: GraphQLSchema) -> PreparedDocument:
        """Measure a new document, validate it if it is small enough for that, and remember both."""
        prepared = PreparedDocument(document, (), find_sizes(document))
        try:
            check_shape(prepared.measure(schema, {}), self.limits)
            errors = validate(schema, document, self.rules, max_errors=_ERRORS_TOLD, hide_suggestions=not self.is_open)
            prepared.errors = tuple(errors)
            prepared.facts = {} if errors else describe_operations(document)
        except QueryTooComplex as error:
            prepared.errors = (GraphQLError(str(error), original_error=error),)
        self._prepared[text] = prepared
        if len(self._prepared) > self._capacity:
            self._prepared.popitem(last=False)
        return prepared


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


def check_cost(operation: Measure, limits: DocumentLimits) -> None:
    """Raise QueryTooComplex for an operation that would read too many objects."""
    if operation.cost > limits.cost:
        raise QueryTooComplex(
            f"The operation may read {operation.cost} objects; {limits.cost} are allowed. Ask for shorter lists."
        )


def _hold(name: str, amount: int, most: int) -> None:
    if amount > most:
        raise QueryTooComplex(f"The document has {amount} {name}; {most} are allowed.")
