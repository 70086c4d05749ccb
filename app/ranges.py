"""Parts of a file: the `Range` header of RFC 9110, section 14.2, as far as players and platforms use it."""

import re
from dataclasses import dataclass

_BYTES = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from `start` up to before `end`."""

    start: int
    end: int


class RangeNotSatisfiable(Exception):
    """The part that is asked for lies behind the end of the file."""


def part_of(header: str | None, size: int) -> Part | None:
    """The part of a file of `size` bytes that is asked for; None where all of it is, or is the right answer.

    Several ranges at once, other units and what nobody can read are answered with the whole, as the RFC allows.
    """
    asked = None if header is None else _BYTES.fullmatch(header.replace(" ", ""))
    if asked is None:
        return None
    first, last = asked.groups()
    if not first and not last:
        return None
    if not first:
        return _satisfiable(Part(max(0, size - int(last)), size if int(last) else 0), size)
    if last and int(last) < int(first):
        return None
    return _satisfiable(Part(int(first), min(int(last) + 1, size) if last else size), size)


def _satisfiable(part: Part, size: int) -> Part:
    if part.start >= size or part.end <= part.start:
        raise RangeNotSatisfiable
    return part
