"""What requests count for: by operation, by root field, by route, by code.

The name of an operation is the client's to choose. It gets a series of its own if the document was valid, somebody
known asked, and fewer than `MOST_NAMES` did before; all others share `other`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.metrics.tallies import Count, Spread
from services.domain.errors import ErrorCode

MOST_NAMES = 100
OTHER, UNNAMED, NONE = "other", "unnamed", "none"

OUR_FAULT = frozenset({ErrorCode.INTERNAL, ErrorCode.TIMEOUT, ErrorCode.OVERLOADED, ErrorCode.UNAVAILABLE})
_ROUTES = ("/graphql", "/api/v1/", "/media", "/oauth", "/metrics", "/admin")
"""All there is besides is `other`: strangers try paths without end."""


class RequestMeter:
    """Counts one request, or one operation of a socket, by what was noted of it for the log."""

    def __init__(
        self,
        *,
        operations: Count,
        seconds: Spread,
        statements: Spread,
        errors: Count,
        http: Count,
        http_seconds: Spread,
        events: Callable[[], None],
    ) -> None:
        self.in_progress = 0
        self.note_event = events
        self._operations = operations
        self._seconds = seconds
        self._statements = statements
        self._errors = errors
        self._http = http
        self._http_seconds = http_seconds
        self._names: set[str] = set()

    def note_http(self, path: str, noted: Mapping[str, Any], seconds: float) -> None:
        """A request was answered; `noted` holds its status, and what is known of its operation."""
        route = route_of(path)
        self._http.add(route, f"{noted.get('status', 0) // 100}xx")
        if noted.get("kind") != "subscription":
            self._http_seconds.observe(seconds, route)
        if route == _ROUTES[0]:
            self.note_operation(noted, seconds)
            return
        for code in noted.get("codes", ()):
            self._errors.add(code)

    def note_operation(self, noted: Mapping[str, Any], seconds: float) -> None:
        """An operation ended; one that never began (no such operation, no credential) has no kind."""
        codes = noted.get("codes", ())
        outcome = "ok" if not codes else "failed" if OUR_FAULT.intersection(codes) else "refused"
        kind = noted.get("kind", NONE)
        self._operations.add(self._label(noted), kind, outcome)
        for code in codes:
            self._errors.add(code)
        if kind in ("query", "mutation"):
            self._seconds.observe(seconds, noted["field"])
            self._statements.observe(noted.get("statements", 0), noted["field"])

    def _label(self, noted: Mapping[str, Any]) -> str:
        name: str | None = noted.get("operation")
        if "kind" not in noted:
            return NONE
        if name is None:
            return UNNAMED
        if name in self._names:
            return name
        if noted.get("viewer") is None or len(self._names) >= MOST_NAMES or len(name) > 64:
            return OTHER
        self._names.add(name)
        return name


def route_of(path: str) -> str:
    """The route that a path belongs to, of a closed list."""
    return next((known for known in _ROUTES if path.startswith(known)), OTHER)
