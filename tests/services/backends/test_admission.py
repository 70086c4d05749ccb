"""What was asked for lately: nothing is admitted that was not seen, what was seen just now is, and nothing grows."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from services.backends.admission import AdmissionFilter


@given(keys=st.lists(st.integers(0, 30).map(str)), places=st.integers(1, 1_000))
def test_only_what_was_seen_is_admitted_and_what_was_seen_last_always_is(keys: list[str], places: int) -> None:
    """However small the table."""
    admission = AdmissionFilter(places=places)
    for place, key in enumerate(keys):
        is_admitted = admission.admits(key)
        assert not is_admitted or key in keys[:place]
        assert admission.admits(key)


def test_most_are_known_for_a_tenth_as_many_others_as_there_are_places_and_few_for_many_more() -> None:
    """By chance e^-0.1 of them, 0.9, and e^-5, 0.007."""
    for others, least, most in ((1_000, 0.75, 1.0), (50_000, 0.0, 0.06)):
        admission = AdmissionFilter(places=10_000)
        keys = [f"key {number}" for number in range(100)]
        for key in keys:
            admission.admits(key)
        for number in range(others):
            admission.admits(f"other {number}")
        known = sum(admission.admits(key) for key in keys)
        assert least <= known / len(keys) <= most


def test_memory_does_not_grow() -> None:
    """Eight bytes a place."""
    admission = AdmissionFilter(places=10)
    before = sys.getsizeof(admission._seen)
    for number in range(1_000):
        admission.admits(str(number))

    assert sys.getsizeof(admission._seen) == before
