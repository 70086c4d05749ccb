"""Who may use which field: every root field says it, here is what it means.

    SIGNED_IN    whoever is known; they see what is their own
    WRITER       a credential that may change things
    OPERATOR     an admin with an admin credential

A root field without one of these is open to everybody; only `health` is. What hangs below a root field needs no word of
its own: every road into it is confined to an owner in SQL.
"""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from strawberry.extensions import FieldExtension

from resolvers.context import Context
from schema.info import Info
from services.domain.errors import Forbidden
from services.domain.viewers import Viewer


class Needs(FieldExtension):
    """Lets a field's resolver run only for viewers who may use it; refused input of others is never looked at."""

    def __init__(self, may: Callable[[Viewer], bool], otherwise: str) -> None:
        self._may = may
        self._otherwise = otherwise

    def check(self, context: Context) -> None:
        """Raise Unauthenticated or Forbidden."""
        if not self._may(context.asker):
            raise Forbidden(self._otherwise)

    async def resolve_async(self, next_: Callable[..., object], source: Any, info: Info, **kwargs: Any) -> Any:
        """Check, then resolve; a subscription's resolver gives its events without being awaited."""
        self.check(info.context)
        result = next_(source, info, **kwargs)
        return await result if isawaitable(result) else result


SIGNED_IN = Needs(lambda viewer: True, "")
WRITER = Needs(lambda viewer: viewer.can_write, "This credential may only read.")
OPERATOR = Needs(lambda viewer: viewer.is_admin, "Only an admin may do this, with an admin credential.")
