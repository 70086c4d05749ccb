"""`extensions.plan`: how an operation was answered, for whoever asks and may know.

    {"statements": 2, "rows": 4, "fields": [
        {"field": "posts", "road": "RENDERED", "statements": 1, "rows": 1, "cache": "MISS"},
        {"field": "viewer", "road": "LOADERS"}]}

Loaders answer for several fields at once, so their statements are told only of the whole operation.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from strawberry.extensions import SchemaExtension

from resolvers.context import Context
from services.backends.statements import StatementTally, tally_statements

PLAN_ASKED = "plan_asked"
"""Set among the context's extras where the plan is asked for by somebody who may know it."""
_ROADS = "roads"


def note_road(context: Context, field: object, road: str, **details: object) -> None:
    """Remember by which road a root field was answered, if anybody asks."""
    if PLAN_ASKED in context.extras:
        context.extras.setdefault(_ROADS, []).append({"field": field, "road": road, **details})


class PlanTold(SchemaExtension):
    """Counts the statements of an operation whose plan is asked for, and tells it with the answer."""

    _tally: StatementTally | None = None

    def on_execute(self) -> Iterator[None]:
        """Count."""
        is_asked = PLAN_ASKED in self.execution_context.context.extras
        with tally_statements() if is_asked else nullcontext() as self._tally:
            yield

    def get_results(self) -> dict[str, Any]:
        """The plan."""
        if self._tally is None:
            return {}
        roads: list[dict[str, Any]] = self.execution_context.context.extras.get(_ROADS, [])
        return {
            "plan": {
                "statements": self._tally.statements,
                "rows": self._tally.rows,
                "fields": roads,
            }
        }
