"""Where the work that runs now can be found in traces, as one line that outlives it (W3C's `traceparent`).

Whoever traces sets it; whoever leaves work for later writes it down beside that work. Nobody else looks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str | None] = ContextVar("trace", default=None)


@contextmanager
def traced_as(traceparent: str) -> Iterator[None]:
    """Everything inside belongs to this trace."""
    token = _current.set(traceparent)
    try:
        yield
    finally:
        _current.reset(token)


def current_trace() -> str | None:
    """The trace of whoever calls; None where nothing is traced."""
    return _current.get()
