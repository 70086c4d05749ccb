"""Parameters as the Graph API reads them: all text at first, whichever way they came."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from app.sandbox.calls import Call
from app.sandbox.graph.errors import bad_parameter


def required(call: Call, name: str) -> str:
    """A parameter that must be there."""
    value = call.param(name)
    if not value:
        raise bad_parameter(f"The parameter {name} is required.")
    return value


def flag(call: Call, name: str, *, default: bool) -> bool:
    """A boolean parameter: true, 1, false or 0."""
    value = call.param(name).lower()
    if not value:
        return default
    if value not in ("true", "1", "false", "0"):
        raise bad_parameter(f"Param {name} must be a boolean, got {value!r}.")
    return value in ("true", "1")


def whole_number(call: Call, name: str, *, default: int | None = None) -> int:
    """A parameter that is a number of 0 or more; required unless a default is given."""
    if default is not None and not call.param(name):
        return default
    value = required(call, name)
    if not value.isascii() or not value.isdigit():
        raise bad_parameter(f"Param {name} must be a whole number, got {value!r}.")
    return int(value)


def moment(call: Call, name: str) -> datetime | None:
    """A time as seconds since 1970 or in ISO 8601 with an offset; None where absent."""
    value = call.param(name)
    if not value:
        return None
    try:
        parsed = datetime.fromtimestamp(int(value), UTC) if value.isdigit() else datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        raise bad_parameter(f"Param {name} must be a time, got {value!r}.") from None
    if parsed.tzinfo is None:
        raise bad_parameter(f"Param {name} must say its time zone, got {value!r}.")
    return parsed


def id_list(call: Call, name: str) -> list[str]:
    """Ids as `1,2` or as a JSON array."""
    value = call.param(name)
    if value.startswith("["):
        return [str(item) for item in _json_list(name, value)]
    return [item.strip() for item in value.split(",") if item.strip()]


def attached_media(call: Call) -> list[str]:
    """The ids in `attached_media[0]={"media_fbid":…}`, `attached_media[1]=…`, or in one JSON array."""
    indexed = {
        int(match[1]): value
        for name, value in call.params.items()
        if (match := re.fullmatch(r"attached_media\[(\d+)\]", name))
    }
    items = [_json("attached_media", indexed[index]) for index in sorted(indexed)]
    if call.param("attached_media"):
        items += _json_list("attached_media", call.param("attached_media"))
    if not all(isinstance(item, dict) and "media_fbid" in item for item in items):
        raise bad_parameter("Param attached_media must hold objects with a media_fbid.")
    return [str(item["media_fbid"]) for item in items]


def _json(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise bad_parameter(f"Param {name} must be JSON, got {value!r}.") from None


def _json_list(name: str, value: str) -> list[Any]:
    parsed = _json(name, value)
    if not isinstance(parsed, list):
        raise bad_parameter(f"Param {name} must be a JSON array, got {value!r}.")
    return parsed
