"""How large a video is and how long it lasts, read from its boxes: ISO/IEC 14496-12 (MP4) and Apple's QuickTime.

A file is a row of boxes, each `size, type, content`; some contain boxes themselves. What is wanted lies here:

    moov
    ├── mvhd            timescale and duration of the whole
    ├── mvex
    │   └── mehd        the duration where mvhd cannot know it: files written in fragments
    └── trak            one per track
        ├── tkhd        its width and height as shown, and how it is turned
        └── mdia
            └── hdlr    what it is: `vide`, `soun`, …

Nothing is believed: every box must end within the one around it, only those few are read, and never more than
`_MOST_BOXES` are stepped over. The streams themselves are not decoded.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MOST_BOXES = 20_000
_HEADER = struct.Struct(">I4s")
_LONG_SIZE = struct.Struct(">Q")
_MOST_CONTENT_BYTES = 256
"""The boxes that are read are about a hundred bytes long."""


class MalformedVideo(Exception):
    """The file's boxes contradict each other, end too early, or lack what every video has."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """Pixels as shown, seconds."""

    width: int
    height: int
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class _Box:
    type: bytes
    start: int
    """Where its content begins; `end` is where the next box does."""
    end: int


def read_video(file: BinaryIO, size: int) -> VideoFacts:
    """What the first `size` bytes of a seekable file tell. Raises MalformedVideo."""
    reader = _Reader(file)
    boxes = list(reader.children(_Box(b"", 0, size)))  # all of them, so that a file that is cut off is noticed
    movie = _first(b"moov", boxes)
    width, height = _shown_size(reader, movie)
    return VideoFacts(width, height, _duration(reader, movie))


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = _MOST_BOXES

    def children(self, parent: _Box) -> Iterator[_Box]:
        """The boxes directly inside of one."""
        at = parent.start
        while at + _HEADER.size <= parent.end:
            box = self._box(at, parent.end)
            yield box
            at = box.end

    def content(self, box: _Box) -> bytes:
        """What is in a small box."""
        return self._read(box.start, min(box.end - box.start, _MOST_CONTENT_BYTES))

    def _box(self, at: int, limit: int) -> _Box:
        self._left -= 1
        if self._left < 0:
            raise MalformedVideo(f"more than {_MOST_BOXES} boxes")
        size, kind = _HEADER.unpack(self._read(at, _HEADER.size))
        start = at + _HEADER.size
        if size == 1:
            (size,) = _LONG_SIZE.unpack(self._read(start, _LONG_SIZE.size))
            start += _LONG_SIZE.size
        end = limit if size == 0 else at + size  # 0: to the end of what is around it
        if not start <= end <= limit:
            raise MalformedVideo("a box ends outside of the file: is it cut off?")
        return _Box(kind, start, end)

    def _read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        found = self._file.read(count)
        if len(found) != count:
            raise MalformedVideo("the file ends in the middle of a box")
        return found


def _find(kind: bytes, boxes: Iterable[_Box]) -> _Box | None:
    return next((box for box in boxes if box.type == kind), None)


def _first(kind: bytes, boxes: Iterable[_Box]) -> _Box:
    found = _find(kind, boxes)
    if found is None:
        raise MalformedVideo(f"there is no {kind.decode()} box")
    return found


def _shown_size(reader: _Reader, movie: _Box) -> tuple[int, int]:
    for track in reader.children(movie):
        if track.type == b"trak" and _is_video(reader, track):
            width, height = _track_size(reader.content(_first(b"tkhd", reader.children(track))))
            if width > 0 and height > 0:
                return width, height
    raise MalformedVideo("there is no video track with a size")


def _is_video(reader: _Reader, track: _Box) -> bool:
    media = _find(b"mdia", reader.children(track))
    handler = None if media is None else _find(b"hdlr", reader.children(media))
    return handler is not None and reader.content(handler)[8:12] == b"vide"


def _track_size(header: bytes) -> tuple[int, int]:
    """`tkhd` ends in a 3×3 matrix and the size, all in 16.16 fixed point; a quarter turn swaps the sides."""
    offset = 52 if _version(header) == 1 else 40
    matrix = _unpack(">9i", header, offset)
    width, height = (side >> 16 for side in _unpack(">2I", header, offset + 36))
    is_turned = matrix[0] == matrix[4] == 0
    return (height, width) if is_turned else (width, height)


def _duration(reader: _Reader, movie: _Box) -> float:
    header = reader.content(_first(b"mvhd", reader.children(movie)))
    layout, offset, unknown = (">IQ", 20, 2**64 - 1) if _version(header) == 1 else (">II", 12, 2**32 - 1)
    timescale, duration = _unpack(layout, header, offset)
    if duration in (0, unknown):
        duration = _fragmented_duration(reader, movie)
    if timescale == 0 or duration == 0:
        raise MalformedVideo("it does not say how long it lasts")
    return float(duration / timescale)


def _fragmented_duration(reader: _Reader, movie: _Box) -> int:
    extends = _find(b"mvex", reader.children(movie))
    header = None if extends is None else _find(b"mehd", reader.children(extends))
    if header is None:
        return 0
    content = reader.content(header)
    (duration,) = _unpack(">Q" if _version(content) == 1 else ">I", content, 4)
    return int(duration)


def _version(full_box: bytes) -> int:
    return full_box[0] if full_box else 0


def _unpack(layout: str, content: bytes, offset: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, content, offset)
    except struct.error as error:
        raise MalformedVideo("a box is too short") from error
