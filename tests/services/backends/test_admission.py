"""What was asked for lately: nothing is admitted that was not seen, and memory is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from services.backends.admission import AdmissionFilter


@given(keys=st.lists(st.integers(0, 30).map(str)), capacity=st.integers(1, 10))
def test_what_was_seen_among_the_last_is_admitted_and_what_never_was_is_not(keys: list[str], capacity: int) -> None:
    """The last `capacity` different keys are known for certain; a stranger never is."""
    admission = AdmissionFilter(capacity=capacity)
    for place, key in enumerate(keys):
        is_admitted = admission.admits(key)
        before = keys[:place]
        if key not in before:
            assert not is_admitted
        elif len(set(before[len(before) - 1 - before[::-1].index(key) :])) <= capacity:
            assert is_admitted


def test_memory_is_bounded() -> None:
    """Two generations, and no more."""
    admission = AdmissionFilter(capacity=10)
    for number in range(1_000):
        admission.admits(str(number))

    assert len(admission._young) + len(admission._old) <= 20
