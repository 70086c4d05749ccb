"""What Crier takes, told by content; and what it does not, told why."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.domain.errors import ErrorCode, Refused
from services.domain.media_types import MediaType
from services.domain.uploads import MediaFacts
from services.uploads.inspection import inspect_file
from tests.media_files import a_picture, a_video, box


def inspect(content: bytes) -> MediaFacts:
    """The facts about a file that holds `content`."""
    return inspect_file(io.BytesIO(content), len(content))


def a_png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header announces a huge picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (a_picture(640, 480), MediaFacts(MediaType.JPEG, 640, 480)),
        (a_picture(640, 480, orientation=6), MediaFacts(MediaType.JPEG, 480, 640)),
        (a_picture(640, 480, orientation=3), MediaFacts(MediaType.JPEG, 640, 480)),
        (a_picture(33, 21, form="PNG"), MediaFacts(MediaType.PNG, 33, 21)),
        (a_video(1080, 1920, 12.5), MediaFacts(MediaType.MP4, 1080, 1920, 12.5)),
        (a_video(1080, 1920, 3, brand=b"mp42"), MediaFacts(MediaType.MP4, 1080, 1920, 3.0)),
        (a_video(640, 360, 3, brand=b"qt  "), MediaFacts(MediaType.QUICKTIME, 640, 360, 3.0)),
    ],
)
def test_inspect_file_tells_type_size_and_duration(content: bytes, facts: MediaFacts) -> None:
    """As it is shown: a photo that lies on its side is turned."""
    assert inspect(content) == facts


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "none of them"),
        (b"GIF89a" + bytes(100), "none of them"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(100), "none of them"),
        (b"<html><script>alert(1)</script></html>", "none of them"),
        (b"%PDF-1.7", "none of them"),
        (a_video(brand=b"heic"), "none of them"),
        (a_video(brand=b"M4A "), "none of them"),
        (b"\xff\xd8\xff\xe0<?php evil", "damaged"),
        (a_picture(300, 300)[:-200], "damaged"),
        (a_picture(300, 300, form="PNG")[:-20], "damaged"),
        (a_png_that_claims(30_000, 30_000), "50,000,000 pixels"),
        (a_png_that_claims(8_000, 8_000), "50,000,000 pixels"),
        (a_png_that_claims(40_000, 1_000), "40,000 × 1,000"),
        (a_video()[:-1], "cut off"),
        (a_video(seconds=13 * 3600), "twelve hours"),
        (a_video(width=20_000), "20,000"),
        (box(b"moov", bytes(30)), "cannot be read"),
    ],
)
def test_inspect_file_refuses_what_no_platform_takes(content: bytes, reason: str) -> None:
    """With a code for the program and a reason for the person."""
    with pytest.raises(Refused, match=reason) as refused:
        inspect(content)

    assert refused.value.errors[0].code is ErrorCode.MEDIA_NOT_SUPPORTED
    assert refused.value.errors[0].field == "file"


def test_inspect_file_notices_a_flipped_byte_in_a_png() -> None:
    """Every checksum is looked at."""
    content = bytearray(a_picture(300, 300, form="PNG"))
    content[len(content) // 2] ^= 1

    with pytest.raises(Refused, match="damaged"):
        inspect(bytes(content))


def test_inspect_file_takes_a_large_photo_without_decoding_it_whole() -> None:
    """A 48-megapixel JPEG is fine; its pixels would be 144 MB."""
    file = io.BytesIO()
    Image.new("RGB", (8_000, 6_000), "teal").save(file, "JPEG")

    assert inspect(file.getvalue()).width == 8_000


@given(
    start=st.sampled_from(
        [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x14ftypisom", a_picture(), a_picture(form="PNG")]
    ),
    kept=st.integers(0, 2_000),
    noise=st.binary(max_size=300),
)
def test_inspect_file_survives_anything(start: bytes, kept: int, noise: bytes) -> None:
    """Whatever follows a good beginning, the end is facts or a refusal."""
    content = start[: max(12, kept)] + noise
    try:
        facts = inspect(content)
    except Refused:
        return
    assert min(facts.width, facts.height) > 0
