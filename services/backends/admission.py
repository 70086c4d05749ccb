"""What was asked for lately, so that what is asked for but once need not be kept.

The doorkeeper of TinyLFU (Einziger, Friedman, Manes 2017), without its sketch: two generations of keys in this process.
"""


class AdmissionFilter:
    """Lets a key in that it has seen among the last `capacity` to twice as many different ones."""

    def __init__(self, *, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._young: set[str] = set()
        self._old: set[str] = set()

    def admits(self, key: str) -> bool:
        """Whether the key was seen lately; from now on it was."""
        if key in self._young:
            return True
        is_known = key in self._old
        self._young.add(key)
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, set()
        return is_known
