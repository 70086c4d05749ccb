"""The Range header, beside Starlette's own reading of it for files on disk."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.types import Message

from app.ranges import Part, RangeNotSatisfiable, part_of

SIZE = 1000
numbers = st.one_of(st.just(""), st.integers(0, 1200).map(str))


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of `SIZE` bytes."""
    file = tmp_path_factory.mktemp("ranges") / "file"
    file.write_bytes(bytes(SIZE))
    return file


def ask_starlette(file: Path, header: str) -> tuple[int, Headers]:
    """What FileResponse answers."""
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": [(b"range", header.encode())]}
    asyncio.run(FileResponse(file)(scope, receive, send))
    return sent[0]["status"], Headers(raw=sent[0]["headers"])


@given(first=numbers, last=numbers)
def test_part_of_agrees_with_starlette(file: Path, first: str, last: str) -> None:
    """For every single range that the RFC calls valid."""
    assume(first or last)
    assume(not first or not last or int(first) <= int(last))
    header = f"bytes={first}-{last}"
    status, headers = ask_starlette(file, header)
    if status == 416:
        with pytest.raises(RangeNotSatisfiable):
            part_of(header, SIZE)
        return
    assert status == 206
    told = headers["content-range"].removeprefix("bytes ").partition("/")[0].split("-")
    assert part_of(header, SIZE) == Part(int(told[0]), int(told[1]) + 1)


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-0", Part(0, 1)),
        ("bytes=0-", Part(0, SIZE)),
        ("bytes=-1", Part(SIZE - 1, SIZE)),
        ("bytes=-5000", Part(0, SIZE)),
        ("bytes=999-5000", Part(999, SIZE)),
        ("bytes=0-1,5-6", None),
        ("lines=1-2", None),
        ("bytes=5-2", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_part_of_reads_one_range_and_ignores_the_rest(header: str | None, part: Part | None) -> None:
    """What is ignored is answered with the whole file."""
    assert part_of(header, SIZE) == part


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-1001", "bytes=-0"])
def test_part_behind_the_end_cannot_be_had(header: str) -> None:
    """That is told, so that a client can stop asking."""
    with pytest.raises(RangeNotSatisfiable):
        part_of(header, SIZE)
