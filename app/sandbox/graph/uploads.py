"""The upload host's protocol, the same for Instagram and Facebook: bytes in a body, their place in two headers."""

from app.sandbox.calls import Call
from app.sandbox.graph.errors import UploadError
from app.sandbox.objects import Sink


def take_bytes(sink: Sink, call: Call) -> None:
    """Add a request's body to an upload; raises UploadError where `offset` and `file_size` do not fit it."""
    offset = header_number(call, "offset")
    size = header_number(call, "file_size")
    if offset != sink.received:
        raise UploadError(f"offset {offset} is not {sink.received}", kind="OffsetInvalidError")
    if not call.body or offset + len(call.body) > size:
        message = f"{len(call.body)} bytes at offset {offset} do not fit file_size {size}"
        raise UploadError(message, kind="PartialRequestError")
    sink.add(call.body)


def header_number(call: Call, name: str) -> int:
    """A header that must be a whole number."""
    value = call.headers.get(name, "")
    if not value.isascii() or not value.isdigit():
        raise UploadError(f"The header {name} must be a whole number, got {value!r}", kind="HeaderInvalidError")
    return int(value)
