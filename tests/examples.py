"""Examples in Markdown: found, filled in, and their answers compared.

A fenced block is an example if it is `console` (lines after `$` are commands) or `graphql`. What follows it belongs to
it: `json variables`, `json answer`, or the `text` that a command prints. `…` stands for what differs each time: in an
answer for any value or the rest of a text, in what is sent for an id that an earlier answer of the same file gave.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

_BLOCK = re.compile(r"^```(\w*)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"([a-z]+)_[0-9a-f]{32}")
_ANY = "…"


@dataclass
class Example:
    """One thing that a reader is told to try."""

    language: str
    text: str
    line: int
    variables: dict[str, Any] | None = None
    answer: Any = None
    printed: list[str] = field(default_factory=list)

    def commands(self) -> list[str]:
        """What is typed into a shell; a backslash goes on in the next line, a comment is for people."""
        whole = self.text.replace("\\\n", " ")
        typed = [line.removeprefix("$ ") for line in whole.splitlines() if line.startswith("$ ")]
        return [re.sub(r"\s+#\s.*$", "", command).strip() for command in typed]


def read_examples(file: Path) -> list[Example]:
    """The examples of a file, in order. Raises where a block belongs to none."""
    text = file.read_text()
    found: list[Example] = []
    for block in _BLOCK.finditer(text):
        language, role, content = block[1], block[2], block[3]
        line = text.count("\n", 0, block.start()) + 1
        match language, role:
            case (("console" | "graphql"), None):
                found.append(Example(language, content, line))
            case "json", "variables":
                found[-1].variables = orjson.loads(content)
            case "json", "answer":
                found[-1].answer = orjson.loads(content)
            case "text", None:
                found[-1].printed = content.splitlines()
            case "", None:
                pass  # a drawing
            case _:
                raise ValueError(f"{file.name}:{line}: what is a block of `{language} {role or ''}`?")
    return found


class Known:
    """The ids that answers gave so far: of each kind the first of the latest answer that had any."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def note(self, answer: object) -> None:
        """Remember what an answer gave."""
        latest: dict[str, str] = {}
        for text in texts_in(answer):
            if (found := _ID.fullmatch(text)) is not None:
                latest.setdefault(found[1], text)
        self._ids |= latest

    def fill(self, sent: str) -> str:
        """What is sent, with ids for the places that stand for some."""
        return re.sub(rf"([a-z]+)_{_ANY}", lambda place: self._ids.get(place[1], place[0]), sent)


def texts_in(value: object) -> Iterator[str]:
    """Every text of an answer, in order."""
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from texts_in(item)
        case dict():
            for item in value.values():
                yield from texts_in(item)


def differences(expected: object, actual: object, place: str = "answer") -> list[str]:
    """Where an answer is not what the example shows."""
    match expected, actual:
        case dict(), dict():
            odd = [f"{place}: {key} is not in both" for key in expected.keys() ^ actual.keys()]
            shared = [key for key in expected if key in actual]
            return odd + [told for key in shared for told in differences(expected[key], actual[key], f"{place}.{key}")]
        case list(), list():
            if len(expected) != len(actual):
                return [f"{place}: {len(actual)} instead of {len(expected)}"]
            pairs = enumerate(zip(expected, actual, strict=True))
            return [told for n, (one, other) in pairs for told in differences(one, other, f"{place}.{n}")]
        case str(), _ if expected == _ANY:
            return []
        case str(), str() if fits(expected, actual):
            return []
    if expected == actual and type(expected) is type(actual):
        return []
    return [f"{place}: {actual!r} instead of {expected!r}"]


def fits(shown: str, told: str) -> bool:
    """Whether a text is the one shown, `…` standing for any part of it."""
    return re.fullmatch(".*".join(map(re.escape, shown.split(_ANY))), told) is not None
