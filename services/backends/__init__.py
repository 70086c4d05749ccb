"""PostgreSQL, Redis and secrets: the machinery that services stand on."""

import importlib
import sys

# redis-py loads OpenTelemetry's metrics wherever they are installed, for figures of its own that nothing here asks for:
# 60 modules, 3 MB. It takes None for not installed; whoever traces (app.tracing) finds all of it afterwards.
if "opentelemetry" not in sys.modules:
    sys.modules["opentelemetry"] = None  # type: ignore[assignment] # what the import system takes for absent
    try:
        importlib.import_module("redis.asyncio")
    finally:
        del sys.modules["opentelemetry"]
