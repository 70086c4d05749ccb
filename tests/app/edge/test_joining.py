"""An answer's head does not leave alone, and does not wait either."""

import asyncio
from collections.abc import Callable

import pytest

from app.joining import JoinedAnswer

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps apart what was written apart."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture
async def wire() -> Wire:
    """What leaves."""
    return Wire()


@pytest.fixture
async def answer(wire: Wire) -> JoinedAnswer:
    """What an answer writes to."""
    return JoinedAnswer(wire, asyncio.get_running_loop())


async def test_head_and_body_leave_together(wire: Wire, answer: JoinedAnswer) -> None:
    """What follows goes by itself, and nothing is sent twice."""
    for part in (HEAD, b"body", b"more", HEAD, b""):
        answer.write(part)
    await asyncio.sleep(0)

    assert wire.written == [HEAD + b"body", b"more", HEAD]


async def test_head_of_a_stream_waits_for_no_event(wire: Wire, answer: JoinedAnswer) -> None:
    """It has left by the next turn."""
    answer.write(HEAD)
    assert not wire.written
    await asyncio.sleep(0)
    assert wire.written == [HEAD]
    answer.write(b"event")
    assert wire.written == [HEAD, b"event"]


@pytest.mark.parametrize("end", [lambda answer: answer.close(), lambda answer: answer.write(HEAD)])
async def test_head_without_a_body_is_not_lost(
    wire: Wire, answer: JoinedAnswer, end: Callable[[JoinedAnswer], None]
) -> None:
    """Whatever comes after it."""
    answer.write(HEAD)
    end(answer)
    await asyncio.sleep(0)

    assert b"".join(wire.written) == HEAD * (1 + (not wire.closed))
    assert answer.is_closing() == wire.closed
