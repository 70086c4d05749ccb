"""Processes that a test starts, and that end with it."""

import signal
from typing import Any

from app.embedded.children import ending_with_parent


def as_child(stop_signal: signal.Signals = signal.SIGTERM) -> dict[str, Any]:
    """For `Popen` and its like: the process gets `stop_signal` when the run that started it ends, however that ends."""
    return {"preexec_fn": ending_with_parent(stop_signal)}
