"""What reads requests, given anything: it answers or refuses. `tests/fuzz` sends the like to a live process."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.faults import BadRequest
from app.negotiation import choose_media_type
from app.operations import read_operation, read_time_asked
from app.socket_messages import find_fault
from tests.fuzz.wire import JSON, MESSAGES, REQUESTS


@given(JSON | REQUESTS)
def test_any_json_is_read_as_an_operation_or_refused(asked: Any) -> None:
    """Nothing in between; what is read has the right types."""
    try:
        read = read_operation(asked)
    except BadRequest:
        return
    assert isinstance(read.query, str)
    assert isinstance(read.variables, (dict, type(None)))
    assert read.operation_name is None or read.operation_name


@given(JSON | MESSAGES)
def test_any_json_is_judged_as_a_socket_message(message: Any) -> None:
    """A reason, short enough for a close frame's limit once cut, or none."""
    assert isinstance(find_fault(message), (str, type(None)))


@given(st.text(max_size=60) | st.text(alphabet="application/json*text, ;q=0.1graphql-response+", max_size=80))
def test_any_accept_header_is_answered_or_refused(accept: str) -> None:
    """With one of three types, or 406."""
    try:
        assert choose_media_type(accept) in (
            "application/json",
            "application/graphql-response+json",
            "text/event-stream",
        )
    except BadRequest as error:
        assert error.status == 406


@given(st.text(max_size=20) | st.integers().map(str))
def test_any_time_header_is_read_or_refused(header: str) -> None:
    """What is read is at least a millisecond."""
    try:
        asked = read_time_asked(header)
    except BadRequest:
        return
    assert asked is not None
    assert asked.total_seconds() >= 0.001
