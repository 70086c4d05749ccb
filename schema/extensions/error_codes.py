"""Every error leaves with a code: `extensions {code retryable retryAfter? field? correlationId}`.

What Crier raises on purpose (`CrierError`) keeps its words. What GraphQL itself finds wrong with a document keeps its
words too: they speak of what the client sent. Everything else is a mistake of ours: it is logged whole, once, and
leaves as INTERNAL without a word of its text.
"""

import math
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import strawberry
import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionContext, StreamExecutionResult
from strawberry.types.execution import ExecutionResult

from schema.extensions.runner import ExtensionsRunner
from services.domain.errors import CATALOGUE, CrierError, ErrorCode, Refused

_log = structlog.get_logger(__name__)

OUR_MISTAKE = "Something went wrong on our side. The correlation id finds it in our logs."
_TOO_MANY_TOKENS = "Syntax Error: Document contains more than"
_TOO_MANY_DIGITS = "Exceeds the limit ("  # Python's, of an integer that would take too long to read
_LONGEST_MESSAGE = 500

_OPERATION_UNCLEAR = (MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError)
"""Raised by Strawberry where it cannot tell, or may not run, the operation; the views answer these."""


class QuietSchema(strawberry.Schema):
    """A schema that says no more than it should, to clients or in logs."""

    def create_extensions_runner(
        self, execution_context: ExecutionContext, extensions: list[SchemaExtension]
    ) -> ExtensionsRunner:
        """The same hooks in the same order, at less cost."""
        return ExtensionsRunner(execution_context, extensions)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Strawberry would log every client's mistake, document included, as ours; `ErrorCodes` logs what is ours."""


class ErrorCodes(SchemaExtension):
    """Stands first among the extensions, so that it also sees what the others raise."""

    def on_operation(self) -> Iterator[None]:
        """Code what a query or a mutation ends with."""
        try:
            yield
        except _OPERATION_UNCLEAR:
            raise
        except Exception as error:
            raise code_error(error, self._correlation_id) from error
        self._code_all(self.execution_context.result)

    def on_stream_result(self, result: StreamExecutionResult) -> Iterator[None]:
        """Code what one event of a subscription ends with."""
        self._code_all(result)
        yield

    def _code_all(self, result: object) -> None:
        errors = getattr(result, "errors", None)
        if errors:
            result.errors = code_errors(errors, self._correlation_id)  # type: ignore[attr-defined]  # duck-typed above

    @property
    def _correlation_id(self) -> str:
        return str(self.execution_context.context.correlation_id)


def code_errors(errors: Sequence[Exception], correlation_id: str) -> list[GraphQLError]:
    """The same errors as any stranger may see them. What was unforeseen is logged, what is alike once, with its number;
    an error that was coded before is given back as it is."""
    surprises: dict[object, list[Exception]] = {}
    coded = []
    for error in errors:
        if isinstance(error, GraphQLError) and "correlationId" in (error.extensions or {}):
            coded.append(error)
            continue
        cause = _find_cause(error)
        code = _find_code(error, cause)
        if code is ErrorCode.INTERNAL:
            surprises.setdefault(_find_origin(cause), []).append(error)
        coded.append(_answer(error, cause, code, correlation_id))
    for alike in surprises.values():
        _log_surprise(alike[0], len(alike), correlation_id)
    return coded


def code_error(error: Exception, correlation_id: str) -> GraphQLError:
    """One error as any stranger may see it."""
    return code_errors([error], correlation_id)[0]


def describe_error(error: CrierError, correlation_id: str) -> dict[str, Any]:
    """A CrierError in GraphQL's shape, for answers that no operation gave."""
    return _answer(error, error, _find_code(error, error), correlation_id).formatted  # type: ignore[return-value]  # a TypedDict


def failed_result(error: Exception, correlation_id: str) -> ExecutionResult:
    """The result of an operation that could not be run at all."""
    return ExecutionResult(data=None, errors=[code_error(error, correlation_id)])


def _find_cause(error: Exception) -> Exception:
    """What was raised in the first place, below GraphQL's wrappings."""
    while isinstance(error, GraphQLError) and isinstance(error.original_error, Exception):
        error = error.original_error
    return error


def _find_origin(cause: Exception) -> object:
    """Where a surprise was raised: a mistake that every row of a page meets is one mistake."""
    frames = list(traceback.walk_tb(cause.__traceback__))
    return type(cause), (frames[-1][0].f_code, frames[-1][1]) if frames else None


def _log_surprise(error: Exception, times: int, correlation_id: str) -> None:
    path = error.path if isinstance(error, GraphQLError) else None
    _log.error("unforeseen error", exc_info=_find_cause(error), path=path, times=times, correlation_id=correlation_id)


def _find_code(error: Exception, cause: Exception) -> ErrorCode:
    if isinstance(cause, Refused):
        return cause.errors[0].code
    if isinstance(cause, CrierError):
        return cause.code
    if isinstance(cause, _OPERATION_UNCLEAR):
        return ErrorCode.BAD_REQUEST
    if isinstance(cause, GraphQLSyntaxError):
        is_too_long = cause.message.startswith(_TOO_MANY_TOKENS)  # graphql-core has no class of its own for it
        return ErrorCode.QUERY_TOO_COMPLEX if is_too_long else ErrorCode.PARSE_FAILED
    if isinstance(cause, ValueError) and str(cause).startswith(_TOO_MANY_DIGITS):
        return ErrorCode.VALIDATION_FAILED
    if isinstance(cause, GraphQLError) and isinstance(error, GraphQLError) and error.path is None:
        return ErrorCode.VALIDATION_FAILED
    return ErrorCode.INTERNAL


def _answer(error: Exception, cause: Exception, code: ErrorCode, correlation_id: str) -> GraphQLError:
    extensions: dict[str, Any] = {"code": code.value, "retryable": CATALOGUE[code].retryable}
    if isinstance(cause, CrierError) and cause.retry_after is not None:
        extensions["retryAfter"] = math.ceil(cause.retry_after)
    if isinstance(cause, Refused) and cause.errors[0].field is not None:
        extensions["field"] = cause.errors[0].field
    extensions["correlationId"] = correlation_id

    message = _words(error, cause, code)
    if len(message) > _LONGEST_MESSAGE:  # it repeats what the client sent, which the client knows
        message = f"{message[:_LONGEST_MESSAGE]} …"
    if not isinstance(error, GraphQLError):
        return GraphQLError(message, extensions=extensions)
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


def _words(error: Exception, cause: Exception, code: ErrorCode) -> str:
    if code is ErrorCode.INTERNAL:
        return OUR_MISTAKE
    if isinstance(cause, InvalidOperationTypeError):
        return f"A {cause.operation_type.value} cannot be run by this kind of request."
    if isinstance(cause, CannotGetOperationTypeError):
        return cause.as_http_error_reason()
    if isinstance(cause, MissingQueryError):
        return "The document holds no operation."
    if isinstance(error, GraphQLError):
        return error.message  # where a scalar refused a value, GraphQL's words say which
    return str(cause)
