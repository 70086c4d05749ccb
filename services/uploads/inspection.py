"""What a file is, told by its content alone. Everything here blocks: run it in a thread."""

from typing import BinaryIO

from services.domain.errors import ErrorCode, Refused, refuse
from services.domain.media_types import HEAD_BYTES, MediaType, recognize
from services.domain.posts import MediaKind
from services.domain.uploads import MediaFacts
from services.uploads.boxes import MalformedVideo, read_video

LONGEST_SECONDS = 12 * 3600
"""What YouTube takes at most."""
MOST_SIDE = 16_384


def inspect_file(file: BinaryIO, size: int) -> MediaFacts:
    """The facts about a seekable file of `size` bytes. Raises Refused for what Crier does not take."""
    file.seek(0)
    found = recognize(file.read(HEAD_BYTES))
    if found is None:
        raise _unfit("Crier takes JPEG and PNG pictures and MP4 and MOV videos; this is none of them.")
    facts = _inspect_image(file, found) if found.kind is MediaKind.IMAGE else _inspect_video(file, found, size)
    _check_bounds(facts)
    return facts


def _inspect_image(file: BinaryIO, found: MediaType) -> MediaFacts:
    # Its library is loaded with the first picture, in the thread that waits for it.
    from services.uploads.pictures import MOST_PIXELS, MalformedPicture, TooManyPixels, read_picture

    try:
        return MediaFacts(found, *read_picture(file, found))
    except TooManyPixels as error:
        raise _unfit(f"A picture may have {MOST_PIXELS:,} pixels at most.") from error
    except MalformedPicture as error:
        raise _unfit("The picture is damaged or cut off.") from error


def _inspect_video(file: BinaryIO, found: MediaType, size: int) -> MediaFacts:
    try:
        video = read_video(file, size)
    except MalformedVideo as error:
        raise _unfit(f"The video cannot be read: {error}.") from error
    return MediaFacts(found, video.width, video.height, video.duration_seconds)


def _check_bounds(facts: MediaFacts) -> None:
    if max(facts.width, facts.height) > MOST_SIDE:
        raise _unfit(f"A side may have {MOST_SIDE:,} pixels; this is {facts.width:,} × {facts.height:,}.")
    if facts.duration_seconds is not None and facts.duration_seconds > LONGEST_SECONDS:
        raise _unfit("A video may last twelve hours at most.")


def _unfit(message: str) -> Refused:
    return refuse(ErrorCode.MEDIA_NOT_SUPPORTED, message, "file")
