"""Reading a platform's JSON, which may hold anything anywhere: what has not the expected shape counts as absent."""

from collections.abc import Mapping
from typing import Any


def object_in(value: Any, *path: str) -> Mapping[str, Any]:
    """The object at the end of a path of keys, or an empty one."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def objects_in(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_in(value: Any) -> str | None:
    """A text that says something, numbers included."""
    return str(value) if isinstance(value, str | int) and str(value) else None
