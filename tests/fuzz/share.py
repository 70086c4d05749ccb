"""How much is made up: all of it for `make fuzz`, a small share in the suite."""

import os

from hypothesis import HealthCheck, Phase, settings

SHARE = float(os.environ.get("FUZZ_SHARE", "0.015"))


def share_of(number: int) -> int:
    """So many of the long form's `number`."""
    return max(2, round(number * SHARE))


def rounds(number: int, *, each: int = 1_000) -> list[int]:
    """The same number in rounds, between which what was seeded can be looked at anew."""
    return [min(each, number - done) for done in range(0, number, each)]


def many(number: int) -> settings:
    """So many examples, none kept and none shrunk: what is found is told as it was sent."""
    return settings(
        max_examples=max(1, number),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
