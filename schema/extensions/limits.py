"""Nothing is run that could cost too much: the cheapest check comes first, and each before the work that it spares."""

from collections.abc import AsyncIterator
from contextlib import nullcontext

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension

from schema.analysis import DocumentMeasure, Measure
from schema.documents import PREPARED, DocumentCache, PreparedDocument, check_cost, check_text, count_values
from schema.parsing import parse_document
from services.domain.errors import CrierError, ErrorCode

COST = "cost"
"""Where the cost of the operation stands among the context's extras, once it is known."""


_FREE_VALUES = 100
"""What an ordinary post brings along; what an operation brings beyond it costs as much as what it reads."""


class AmbiguousOperation(CrierError):
    """Several operations, and no word which of them to run."""

    code = ErrorCode.BAD_REQUEST


class Limits(SchemaExtension):
    """Parses a bounded number of tokens, measures, prices and validates; known documents it only prices."""

    def __init__(self, *, documents: DocumentCache) -> None:
        self._documents = documents

    async def on_parse(self) -> AsyncIterator[None]:
        """Hand over a document that is known, or has been read, measured and found fit; else say why it is not."""
        text = self.execution_context.query or ""
        prepared = self._documents.find(text)
        is_settled = prepared is not None and prepared.errors is not None
        async with nullcontext() if is_settled else self._documents.turn():
            # Whoever waited for a turn may find that another has read the same document meanwhile.
            values = self._prepare(prepared or self._documents.find(text))
            yield
            self._decide(values)

    def _prepare(self, prepared: PreparedDocument | None) -> int:
        """Hand over the document; gives the number of values that come with it."""
        operation = self.execution_context
        limits, text = self._documents.limits, operation.query or ""
        if prepared is None:
            check_text(text, limits)
        values = count_values(operation.variables or {}, limits)
        if prepared is None:
            document = parse_document(text, max_tokens=limits.tokens, most=limits.in_text())
            prepared = self._documents.prepare(text, document, operation.schema._schema)
        operation.graphql_document = prepared.document
        operation.context.extras[PREPARED] = prepared
        return values

    def _decide(self, values: int) -> None:
        operation = self.execution_context
        prepared: PreparedDocument = operation.context.extras[PREPARED]
        # A list, even an empty one, tells Strawberry that validation is done.
        operation.pre_execution_errors = list(prepared.errors or ())
        if not prepared.errors:
            try:
                self._judge(prepared, prepared.measure(operation.schema._schema, operation.variables or {}), values)
            except CrierError as error:
                operation.pre_execution_errors = [GraphQLError(str(error), original_error=error)]

    def _judge(self, prepared: PreparedDocument, measure: DocumentMeasure, values: int) -> None:
        """Look at the price before anything is looked at that takes longer."""
        operation = self.execution_context
        chosen = self._choose(measure)
        cost = None if chosen is None else chosen.cost + max(0, values + measure.values - _FREE_VALUES)
        if cost is not None:
            check_cost(cost, self._documents.limits)
        errors = self._documents.validate(prepared, operation.schema._schema)
        operation.pre_execution_errors = list(errors)
        if not errors:
            self._check_choice(measure)
            if cost is not None:
                operation.context.extras[COST] = cost

    def _choose(self, measure: DocumentMeasure) -> Measure | None:
        """The operation that will run; None where none has that name, which Strawberry reports, or several might."""
        name = self.execution_context._provided_operation_name
        if name is not None:
            return measure.operations.get(name)
        return next(iter(measure.operations.values())) if len(measure.operations) == 1 else None

    def _check_choice(self, measure: DocumentMeasure) -> None:
        if self.execution_context._provided_operation_name is None and len(measure.operations) > 1:
            raise AmbiguousOperation("The document holds several operations: say which one with `operationName`.")
