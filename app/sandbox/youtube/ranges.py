"""`Content-Range` as Google reads it: `bytes 0-524287/2000000`, or `bytes */2000000` to ask how far it is."""

import re
from dataclasses import dataclass

from app.sandbox.calls import Call
from app.sandbox.youtube.errors import bad_request

GRANULE = 256 * 1024
"""Every chunk but the last is a multiple of this many bytes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a body belongs; `begin` is None for a question, `total` None where it was not said."""

    begin: int | None
    total: int | None


def read_range(call: Call) -> Place:
    """The place of a PUT's body, checked against the body itself; without the header the body is the whole file."""
    text = call.headers.get("content-range")
    size = _declared_length(call)
    if text is None:
        if size == 0:
            raise bad_request("The request does not include the video content.", reason="mediaBodyRequired")
        return Place(0, size)
    if question := re.fullmatch(r"bytes \*/(\d+|\*)", text):
        if size:
            raise bad_request("A status query has no body.")
        return Place(None, None if question[1] == "*" else int(question[1]))

    chunk = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", text)
    if chunk is None:
        raise bad_request(f"Content-Range is not understood: {text!r}.")
    begin, end, total = (int(number) for number in chunk.groups())
    if end >= total or end - begin + 1 != size:
        raise bad_request(f"Content-Range {text!r} does not fit a body of {size} bytes.")
    if end + 1 < total and size % GRANULE:
        raise bad_request(f"A chunk of {size} bytes that is not the last must be a multiple of {GRANULE}.")
    return Place(begin, total)


def _declared_length(call: Call) -> int:
    """The body's length as its client meant it, also where the client vanished before the end."""
    if call.is_whole:
        return len(call.body)
    text = call.headers.get("content-length", "0")
    return int(text) if text.isdigit() else 0
