"""Reads rules.toml."""

import tomllib
from collections import Counter
from pathlib import Path

_TABLE = tomllib.loads(Path(__file__).with_name("rules.toml").read_text())

ASKERS: tuple[str, ...] = tuple(_TABLE["askers"])

YES, NO = "yes", "no"
REFUSALS = {"UNAUTHENTICATED": "unknown", "FORBIDDEN": "forbidden"}
"""The words for the codes of errors."""

_VERDICTS = {name: dict(zip(ASKERS, verdicts, strict=True)) for name, verdicts in _TABLE["rules"].items()}

PLACES = [
    (f"{type_}.{field}", rule)
    for rule, types in _TABLE["fields"].items()
    for type_, fields in types.items()
    for field in fields.split()
]
RULES: dict[str, str] = dict(PLACES)
"""By field, as `Post.caption`, the name of its rule."""

TWICE = [place for place, times in Counter(place for place, _ in PLACES).items() if times > 1]


def expected(asker: str, road: tuple[str, ...]) -> str:
    """What an asker gets at the end of a road: the first word on it that is not yes."""
    verdicts = (_VERDICTS[RULES[place]][asker] for place in road)
    return next((verdict for verdict in verdicts if verdict != YES), YES)
