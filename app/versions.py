"""Which Crier this is: the version that people read, and a mark of the very code."""

from functools import cache
from hashlib import blake2b
from pathlib import Path

VERSION = "0.1.0"
"""As people read it; raised by hand."""

_ROOT = Path(__file__).parent.parent
_FLOORS = ("schema", "resolvers", "services")
"""Whose code decides what an answer looks like."""


@cache
def code_mark() -> str:
    """Another one wherever the code of an answer is another. It is part of every cache key: nobody has to remember
    to raise a version for a deploy never to read what an older one wrote."""
    return mark_of(_ROOT)


def mark_of(root: Path) -> str:
    """The mark of the floors below `root`."""
    digest = blake2b(digest_size=8)
    for path in sorted(path for floor in _FLOORS for path in (root / floor).rglob("*") if _is_code(path)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _is_code(path: Path) -> bool:
    return path.suffix in (".py", ".lua", ".graphql")
