"""Nothing is run that could cost too much: the cheapest check comes first, and each before the work that it spares."""

from collections.abc import Iterator

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension

from schema.analysis import DocumentMeasure, Measure
from schema.documents import PREPARED, DocumentCache, check_cost, check_text, count_values
from services.domain.errors import CrierError, ErrorCode

COST = "cost"
"""Where the cost of the operation stands among the context's extras, once it is known."""


_FREE_VALUES = 100
"""What an ordinary post brings along; what an operation brings beyond it costs as much as what it reads."""


class AmbiguousOperation(CrierError):
    """Several operations, and no word which of them to run."""

    code = ErrorCode.BAD_REQUEST


class Limits(SchemaExtension):
    """Parses with a bounded number of tokens, measures, validates and prices; known documents only the last."""

    def __init__(self, *, documents: DocumentCache) -> None:
        self._documents = documents

    def on_parse(self) -> Iterator[None]:
        """Hand a known document over, or let Strawberry parse a new one; then say what is wrong with it."""
        operation = self.execution_context
        operation.parse_options = {"max_tokens": self._documents.limits.tokens}
        text = operation.query or ""
        prepared = self._documents.find(text)
        if prepared is not None:
            operation.graphql_document = prepared.document
        else:
            check_text(text, self._documents.limits)
        values = count_values(operation.variables or {}, self._documents.limits)
        yield
        if operation.graphql_document is None:
            return  # it is not GraphQL, and Strawberry says so

        schema = operation.schema._schema
        if prepared is None:
            prepared = self._documents.prepare(text, operation.graphql_document, schema)
        operation.context.extras[PREPARED] = prepared
        # A list, even an empty one, tells Strawberry that validation is done.
        operation.pre_execution_errors = list(prepared.errors)
        if not prepared.errors:
            self._price(prepared.measure(schema, operation.variables or {}), values)

    def _price(self, measure: DocumentMeasure, values: int) -> None:
        try:
            chosen = self._choose(measure)
            if chosen is not None:
                cost = chosen.cost + max(0, values + measure.values - _FREE_VALUES)
                check_cost(cost, self._documents.limits)
                self.execution_context.context.extras[COST] = cost
        except CrierError as error:
            self.execution_context.pre_execution_errors = [GraphQLError(str(error), original_error=error)]

    def _choose(self, measure: DocumentMeasure) -> Measure | None:
        """The operation that will run; None where none has that name, which Strawberry reports."""
        name = self.execution_context._provided_operation_name
        if name is not None:
            return measure.operations.get(name)
        if len(measure.operations) > 1:
            raise AmbiguousOperation("The document holds several operations: say which one with `operationName`.")
        return next(iter(measure.operations.values()), None)
