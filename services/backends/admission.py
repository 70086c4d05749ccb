"""What was asked for lately, so that what is asked for but once need not be kept.

The doorkeeper of TinyLFU (Einziger, Friedman, Manes 2017), as a table in which the newer of two keys that share a place
takes it: a key is forgotten by chance, after about as many others as there are places, and nothing grows.
"""

from array import array


class AdmissionFilter:
    """Lets a key in that it has seen lately."""

    def __init__(self, *, places: int = 40_000) -> None:
        self._seen = array("q", bytes(8 * places))

    def admits(self, key: str) -> bool:
        """Whether the key was seen lately; from now on it was."""
        mark = hash(key)
        place = mark % len(self._seen)
        is_known = self._seen[place] == mark
        self._seen[place] = mark
        return is_known
