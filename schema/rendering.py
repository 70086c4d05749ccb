"""The executor's hook for answers that are JSON already.

A resolver may give an `orjson.Fragment` where the schema promises an object or a list: it is final, nothing below it is
walked, and the view writes its bytes into the answer as they are.
"""

from typing import Any

import orjson
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext


class RenderingExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor, but finished fragments pass."""

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
