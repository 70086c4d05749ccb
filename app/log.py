"""Logs are events with fields, one JSON object per line (or, for people, one coloured line), and never a secret.

Libraries that log through `logging` come out the same way. Whatever is logged while a request runs carries its
correlation id.
"""

import logging
import logging.config
import re
import sys
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.types import Processor

HIDDEN = "[hidden]"

_SECRET_NAMES = re.compile(r"authorization|cookie|password|secret|token|api_?key|code_verifier", re.IGNORECASE)
_SECRET_SHAPES = re.compile(
    r"crier_[0-9a-f]{32}_[0-9a-f]+"  # our API keys
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # JWTs
    r"|(?<=bearer )[^\s'\"]+"
    r"|(?<=token=)[^&\s'\"]+|(?<=secret=)[^&\s'\"]+|(?<=code=)[^&\s'\"]+"  # in URLs and forms
    r"|(?<=://)[^/@\s:]*:[^/@\s]+(?=@)",  # user and password in URLs
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"[A-Za-z0-9/:-]*")
"""What none of those shapes can be found in: each has a dot, a space or a sign that is not among these. To look for
them takes ten times as long as to see this."""

_TALKATIVE = ("uvicorn", "httpx", "alembic", "sqlalchemy.pool", "services.backends.pool")
"""What these tell of ordinary days, our own events tell better; the last is a pool that talks as SQLAlchemy's do."""


def configure_logging(*, log_format: str, level: str = "INFO") -> None:
    """Set logging up for the whole process; `log_format` is `json` or `console`."""
    is_json = log_format == "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        redact,
        structlog.processors.TimeStamper(fmt="iso" if is_json else "%H:%M:%S", utc=is_json),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_dump)
        if is_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [structlog.stdlib.ExtraAdder(), *shared],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(() if is_json else (drop_empty,)),
            renderer,
        ],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"events": formatter},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "events"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {name: {"level": "WARNING"} for name in _TALKATIVE},
        }
    )
    if log_format == "json":
        _log_directly(shared, level)
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def drop_empty(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out what has no value: to a person's eye it is noise."""
    return {name: value for name, value in event.items() if value is not None}


def _log_directly(shared: list[Processor], level: str) -> None:
    """Our own events past `logging`, which takes longer with a line than everything else that is done for it."""
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_dump_bytes)],
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        cache_logger_on_first_use=True,
    )


def redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide values by their names and by their shapes, at any depth, tracebacks included."""
    for name, value in event.items():
        event[name] = _hide(name, value)
    return event


def _hide(name: str, value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if _is_secret(name):
        return HIDDEN
    if isinstance(value, str):
        return value if _HARMLESS.fullmatch(value) else _SECRET_SHAPES.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {key: _hide(str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hide(name, inner) for inner in value]
    if isinstance(value, logging.LogRecord) or name.startswith("_"):
        return value
    return _SECRET_SHAPES.sub(HIDDEN, str(value))


@lru_cache(maxsize=1_000)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def _dump(event: Any, **_: Any) -> str:
    return _dump_bytes(event).decode()


def _dump_bytes(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
