"""Reading videos' boxes: files of known shape, and files of none."""

import io
import random
import struct
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.uploads.boxes import MalformedVideo, VideoFacts, read_video
from tests.media_files import A_QUARTER_TURN, a_video, box, ftyp, mvhd, trak


def read(content: bytes) -> VideoFacts:
    """The facts of a file that holds `content`."""
    return read_video(io.BytesIO(content), len(content))


padding = st.lists(
    st.builds(box, st.sampled_from([b"free", b"skip", b"uuid", b"udta"]), st.binary(max_size=40)), max_size=3
).map(b"".join)


@given(
    width=st.integers(1, 65_535),
    height=st.integers(1, 65_535),
    timescale=st.integers(1, 2**32 - 1),
    duration=st.integers(1, 2**32 - 2),
    version=st.sampled_from([0, 1]),
    is_turned=st.booleans(),
    is_long=st.booleans(),
    is_movie_first=st.booleans(),
    gaps=st.tuples(padding, padding, padding, padding),
)
def test_read_video_finds_size_and_duration_wherever_they_lie(
    *,
    width: int,
    height: int,
    timescale: int,
    duration: int,
    version: int,
    is_turned: bool,
    is_long: bool,
    is_movie_first: bool,
    gaps: tuple[bytes, bytes, bytes, bytes],
) -> None:
    """Both versions of headers, both sizes of boxes, any order, anything unknown in between."""
    matrix = {"matrix": A_QUARTER_TURN} if is_turned else {}
    movie = box(
        b"moov",
        gaps[0],
        mvhd(timescale, duration, version=version),
        trak(b"soun", 0, 0),
        gaps[1],
        trak(b"vide", width, height, version=version, **matrix),
        is_long=is_long,
    )
    stream = box(b"mdat", bytes(50), is_long=is_long)
    parts = [movie, gaps[2], stream] if is_movie_first else [stream, gaps[2], movie]

    facts = read(b"".join([ftyp(), *parts, gaps[3]]))

    shown = (height, width) if is_turned else (width, height)
    assert (facts.width, facts.height) == shown
    assert facts.duration_seconds == pytest.approx(duration / timescale)


def test_read_video_takes_the_duration_of_fragments_from_mehd() -> None:
    """A file written in fragments has 0 in its movie header."""
    extends = box(b"mvex", box(b"mehd", bytes(4), struct.pack(">I", 3000)))
    movie = box(b"moov", mvhd(1000, 0), extends, trak(b"vide", 320, 180))

    assert read(ftyp() + movie).duration_seconds == 3.0


def test_read_video_takes_a_last_box_without_size() -> None:
    """Size 0 means: to the end of the file."""
    stream = struct.pack(">I4s", 0, b"mdat") + bytes(99)

    assert read(a_video() + stream).width == 640


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no moov"),
        (ftyp() + box(b"mdat", bytes(10)), "no moov"),
        (ftyp() + box(b"moov", trak(b"vide", 1, 1)), "no mvhd"),
        (ftyp() + box(b"moov", mvhd(1000, 5)), "no video track"),
        (ftyp() + box(b"moov", mvhd(1000, 5), trak(b"soun", 0, 0)), "no video track"),
        (ftyp() + box(b"moov", mvhd(1000, 5), trak(b"vide", 0, 90)), "no video track"),
        (ftyp() + box(b"moov", mvhd(1000, 0), trak(b"vide", 9, 9)), "how long"),
        (ftyp() + box(b"moov", mvhd(0, 5), trak(b"vide", 9, 9)), "how long"),
        (ftyp() + box(b"moov", mvhd(1000, 2**32 - 1), trak(b"vide", 9, 9)), "how long"),
        (ftyp() + box(b"moov", box(b"mvhd", b"\x00"), trak(b"vide", 9, 9)), "too short"),
        (a_video()[:-1], "cut off"),
        (a_video()[:60], "cut off"),
        (a_video() + box(b"free") * 20_001, "more than"),
        (struct.pack(">I4s", 1, b"mdat") + bytes(3), "middle of a box"),
        (struct.pack(">I4s", 7, b"mdat") + bytes(3), "cut off"),
    ],
)
def test_read_video_says_what_is_wrong(content: bytes, reason: str) -> None:
    """Each way of being no video has its words."""
    with pytest.raises(MalformedVideo, match=reason):
        read(content)


class CountingFile(io.BytesIO):
    """Counts what is read."""

    reads = 0
    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Count, then read."""
        self.reads += 1
        found = super().read(size)
        self.taken += len(found)
        return found


@given(st.binary(max_size=600), st.randoms(use_true_random=False))
def test_read_video_survives_anything(noise: bytes, chance: random.Random) -> None:
    """Random bytes, and real files with random damage, end in facts or in MalformedVideo, after bounded work."""
    damaged = bytearray(a_video(stream_bytes=100))
    for _ in range(chance.randint(1, 12)):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    for content in (noise, bytes(damaged), bytes(damaged[: chance.randrange(len(damaged))]), a_video()[:40] + noise):
        file = CountingFile(content)
        try:
            facts = read_video(file, len(content))
        except MalformedVideo:
            pass
        else:
            assert facts.width > 0
            assert facts.height > 0
            assert facts.duration_seconds > 0
        assert file.reads <= 2 * len(content) + 20
        assert file.taken <= 64 * len(content) + 1000


def test_read_video_does_not_read_the_streams() -> None:
    """A video of any length costs a few hundred bytes."""
    content = a_video(stream_bytes=5_000_000)
    file: BinaryIO = CountingFile(content)

    read_video(file, len(content))

    assert isinstance(file, CountingFile)
    assert file.taken < 2_000
