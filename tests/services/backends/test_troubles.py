"""What fails again and again is told of, and drowns nothing else."""

from structlog.testing import capture_logs

from services.backends.troubles import TOLD_AGAIN_AFTER, Trouble
from services.domain.errors import Unavailable


class Watch:
    """A clock that stands until it is moved."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def fail(trouble: Trouble, error: Exception, times: int = 1) -> None:
    for _ in range(times):
        try:
            raise error
        except Exception as caught:
            trouble.note(caught)


def test_an_outage_is_a_line_when_it_begins_one_a_minute_and_one_when_it_ends() -> None:
    """Without a traceback: everybody knows where it comes from."""
    clock = Watch()
    trouble = Trouble("duty.failed", clock=clock, duty="outbox")
    with capture_logs() as told:
        fail(trouble, Unavailable("The database is away."), 100)
        clock.seconds = TOLD_AGAIN_AFTER
        fail(trouble, Unavailable("The database is away."), 100)
        trouble.end()
        trouble.end()
    fields = {"duty": "outbox", "code": "UNAVAILABLE", "reason": "The database is away.", "log_level": "warning"}
    assert told == [
        {"event": "duty.failed", "times": 1, **fields},
        {"event": "duty.failed", "times": 101, **fields},
        {"event": "duty.failed.over", "duty": "outbox", "times": 200, "log_level": "info"},
    ]


def test_another_failure_is_told_at_once_with_its_traceback() -> None:
    """It may be the one that matters."""
    trouble = Trouble("duty.failed", clock=Watch())
    with capture_logs() as told:
        fail(trouble, Unavailable("The database is away."), 5)
        fail(trouble, KeyError("nobody thought of this"), 5)
        trouble.end()
        fail(trouble, KeyError("nobody thought of this"))
    assert [(line["event"], line.get("exc_info")) for line in told] == [
        ("duty.failed", None),
        ("duty.failed", True),
        ("duty.failed.over", None),
        ("duty.failed", True),
    ]


def test_failures_that_take_turns_are_told_of_once_a_minute_each() -> None:
    """However often one follows the other."""
    clock = Watch()
    trouble = Trouble("duty.failed", clock=clock)
    with capture_logs() as told:
        for seconds in range(119):
            clock.seconds = seconds
            fail(trouble, Unavailable("The database is away."))
            fail(trouble, Unavailable("Redis is away."))
    assert [line["reason"] for line in told] == ["The database is away.", "Redis is away."] * 2
