"""When to try again: waits that double to a bound, spread over all of their length, and an end."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.publishing.retry import RetryPolicy


def longest_waits(policy: RetryPolicy, *, failures: int) -> list[float | None]:
    """The wait after each failure where chance makes it as long as it can be, in seconds."""
    waits = [policy.delay(number, asked=None, random=lambda: 1.0) for number in range(1, failures + 1)]
    return [None if wait is None else wait.total_seconds() for wait in waits]


def test_waits_double_and_tries_end() -> None:
    """The eighth failure is the last."""
    assert longest_waits(RetryPolicy(), failures=9) == [10, 20, 40, 80, 160, 320, 640, None, None]


def test_waits_grow_to_a_bound() -> None:
    """However many tries there are."""
    assert longest_waits(RetryPolicy(most=1000), failures=999)[6:] == [640, *[900] * 992]


@given(st.integers(1, 7), st.floats(0, 1, exclude_max=True), st.none() | st.timedeltas(timedelta(0), timedelta(days=1)))
def test_a_wait_is_any_part_of_the_longest_and_no_shorter_than_asked(
    failures: int, chance: float, asked: timedelta | None
) -> None:
    """Full jitter: a crowd that failed together comes back spread over all of the time. Retry-After goes first."""
    longest = timedelta(seconds=10) * 2 ** (failures - 1)

    wait = RetryPolicy().delay(failures, asked=asked, random=lambda: chance)

    assert wait == max(longest * chance, asked or timedelta(0))
