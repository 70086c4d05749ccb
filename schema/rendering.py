"""The executor's hook for answers that are JSON already.

A resolver may give an `orjson.Fragment` where the schema promises an object or a list: it is final, nothing below it is
walked, and the view writes its bytes into the answer as they are.
"""

from typing import Any

import orjson
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

_ERRORS_TOLD = 5
_MOST_ERRORS_AT = 9
"""The place of `max_coercion_errors` among the arguments, which graphql-core gives without its name."""


class RenderingExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor, but finished fragments pass, and errors in variables say no more than they should."""

    @classmethod
    def build(cls, schema: Any, *given: Any, **options: Any) -> Any:
        """With field suggestions switched off, wrong enum values in variables are answered without right ones too; of
        many mistakes in variables only the first are told, for each repeats what it speaks of. Strawberry has ways to
        say this of queries, but none to say it of subscriptions."""
        arguments = [schema, *given]
        arguments[_MOST_ERRORS_AT] = _ERRORS_TOLD
        options["hide_suggestions"] = schema._strawberry_schema.config.disable_field_suggestions
        return super().build(*arguments, **options)

    def complete_object_value(self, return_type: Any, nodes: Any, info: Any, path: Any, result: Any, *more: Any) -> Any:
        """An object: finished, or completed field by field."""
        if isinstance(result, orjson.Fragment):
            return result
        return super().complete_object_value(return_type, nodes, info, path, result, *more)

    def complete_abstract_value(
        self, return_type: Any, nodes: Any, info: Any, path: Any, result: Any, *more: Any
    ) -> Any:
        """An object of an interface: finished, or completed once its type is known."""
        if isinstance(result, orjson.Fragment):
            return result
        return super().complete_abstract_value(return_type, nodes, info, path, result, *more)

    def complete_list_value(self, return_type: Any, nodes: Any, info: Any, path: Any, result: Any, *more: Any) -> Any:
        """A list: finished, or completed item by item."""
        if isinstance(result, orjson.Fragment):
            return result
        return super().complete_list_value(return_type, nodes, info, path, result, *more)
