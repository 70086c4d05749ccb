"""Media as files: pictures made by Pillow, videos made box by box, without streams."""

import io
import struct

from PIL import Image


def a_picture(width: int = 64, height: int = 48, *, form: str = "JPEG", orientation: int | None = None) -> bytes:
    """A picture with something on it."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, form, exif=exif)
    return file.getvalue()


def box(kind: bytes, *content: bytes, is_long: bool = False) -> bytes:
    """A box of ISO/IEC 14496-12; `is_long` writes its size in 64 bits."""
    inside = b"".join(content)
    if is_long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(inside)) + inside
    return struct.pack(">I4s", 8 + len(inside), kind) + inside


NOT_TURNED = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
A_QUARTER_TURN = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)


def mvhd(timescale: int, duration: int, *, version: int = 0) -> bytes:
    """The header of a movie."""
    times = struct.pack(">QQIQ" if version else ">IIII", 1, 2, timescale, duration)
    return box(b"mvhd", bytes([version, 0, 0, 0]), times, bytes(80))


def trak(kind: bytes, width: int, height: int, *, version: int = 0, matrix: tuple[int, ...] = NOT_TURNED) -> bytes:
    """A track."""
    times = struct.pack(">QQIIQ" if version else ">IIIII", 1, 2, 1, 0, 100)
    shape = struct.pack(">9i2I", *matrix, width << 16, height << 16)
    header = box(b"tkhd", bytes([version, 0, 0, 3]), times, bytes(16), shape)
    return box(b"trak", header, box(b"mdia", box(b"mdhd", bytes(24)), box(b"hdlr", bytes(8), kind, bytes(13))))


def ftyp(brand: bytes = b"isom") -> bytes:
    """What an MP4 begins with."""
    return box(b"ftyp", brand, bytes(4), brand)


def a_video(
    width: int = 640, height: int = 360, seconds: float = 2.5, *, brand: bytes = b"isom", stream_bytes: int = 1000
) -> bytes:
    """A video with sound before its pictures, as far as its boxes tell."""
    movie = box(b"moov", mvhd(1000, round(seconds * 1000)), trak(b"soun", 0, 0), trak(b"vide", width, height))
    return ftyp(brand) + movie + box(b"mdat", bytes(stream_bytes))
