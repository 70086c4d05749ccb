"""Deadlines: what an inner one may and may not do."""

from datetime import timedelta

import pytest

from services.backends.deadline import current_deadline, deadline_in, extra_time, time_left
from services.domain.errors import TimedOut

LONG, SHORT, NONE = timedelta(hours=1), timedelta(minutes=1), timedelta(0)


def test_inner_deadline_only_shortens() -> None:
    """An inner deadline counts where it is earlier, and ends with its block."""
    with deadline_in(SHORT) as outer:
        with deadline_in(LONG) as inner:
            assert inner == outer
        with deadline_in(NONE) as inner:
            assert inner.remaining() == 0
        assert current_deadline() == outer
    assert current_deadline() is None


def test_time_left_is_the_shorter_of_both() -> None:
    """A call takes at most its own limit and what the deadline leaves, less the headroom."""
    assert time_left(5.0) == 5.0
    with deadline_in(SHORT):
        assert time_left(5.0) == 5.0
        assert 58 < time_left(600.0, headroom=1.0) <= 59


def test_nothing_begins_after_the_deadline() -> None:
    """A deadline that is over is TimedOut before anything is sent."""
    with deadline_in(NONE), pytest.raises(TimedOut):
        time_left(5.0)


def test_cleaning_up_has_time_of_its_own() -> None:
    """`extra_time` counts even where the caller's time is over, and only inside its block."""
    with deadline_in(NONE):
        with extra_time(SHORT):
            assert time_left(5.0) == 5.0
        with pytest.raises(TimedOut):
            time_left(5.0)
