"""How large a picture is, read by Pillow, which whoever sees no pictures need not carry: import this where one is."""

from typing import BinaryIO

from PIL import Image

from services.domain.media_types import MediaType

MOST_PIXELS = 50_000_000
"""Of a picture: more than any platform shows, and little enough to be decoded without fear."""

_FORMATS = {MediaType.JPEG: "JPEG", MediaType.PNG: "PNG"}
_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
"""EXIF orientations in which width and height change places."""
_THUMBNAIL = (256, 256)


class MalformedPicture(Exception):
    """The file is damaged or cut off."""


class TooManyPixels(Exception):
    """Decoded it would take more memory than anybody should be able to ask for."""


def read_picture(file: BinaryIO, found: MediaType) -> tuple[int, int]:
    """Width and height as shown. Raises MalformedPicture or TooManyPixels."""
    file.seek(0)
    try:
        with Image.open(file, formats=[_FORMATS[found]]) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise Image.DecompressionBombError
            is_turned = found is MediaType.JPEG and image.getexif().get(_ORIENTATION) in _TURNED
            _read_through(image)
    except Image.DecompressionBombError as error:  # Pillow's own limit is higher
        raise TooManyPixels from error
    except Exception as error:  # Pillow lets out whatever its decoders stumble over
        raise MalformedPicture from error
    return (height, width) if is_turned else (width, height)


def _read_through(image: Image.Image) -> None:
    """Read all of a picture, as cheaply as its format allows, so that a damaged one is noticed."""
    if image.format == "PNG":
        image.verify()  # every checksum, no pixels
        return
    image.draft(None, _THUMBNAIL)  # JPEG decodes to an eighth of its size without making the whole
    image.load()
