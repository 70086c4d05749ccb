"""Keyset pages: a cursor names a place in an order, so that rows which come and go never shift a page."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from services.domain.errors import ErrorCode, refuse

T = TypeVar("T")

DEFAULT_SIZE = 20
MAX_SIZE = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands in its order: by moment, then by id. Orders by id alone leave the moment at 1970."""

    id: UUID
    at: datetime = _EPOCH

    def to_cursor(self) -> str:
        """The place as an opaque word: base64url of 8 bytes of microseconds since 1970 (big endian) and 16 of id."""
        micros = (self.at - _EPOCH) // _MICROSECOND
        return base64.urlsafe_b64encode(micros.to_bytes(8, "big", signed=True) + self.id.bytes).decode()

    @staticmethod
    def from_cursor(cursor: str) -> "Place | None":
        """The inverse; None for what `to_cursor` could not have made."""
        try:
            raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
            at = _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], "big", signed=True))
        except (binascii.Error, UnicodeEncodeError, OverflowError):
            return None
        return Place(UUID(bytes=raw[8:]), at) if len(raw) == 24 else None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which stretch of a list is asked for: `size` rows from one end, between two exclusive places."""

    size: int = DEFAULT_SIZE
    backward: bool = False
    after: Place | None = None
    before: Place | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One stretch of a list, in the list's own order whichever way it was read."""

    nodes: tuple[T, ...]
    cursors: tuple[str, ...]
    has_next: bool
    has_previous: bool


def ask_page(*, first: int | None, after: str | None, last: int | None, before: str | None) -> PageRequest:
    """A page request from Relay's four arguments; raises `Refused` naming the argument that is wrong."""
    if first is not None and last is not None:
        raise refuse(ErrorCode.VALIDATION_FAILED, "Ask for `first` or for `last`, not for both.", "last")
    for name, size in (("first", first), ("last", last)):
        if size is not None and not 0 <= size <= MAX_SIZE:
            raise refuse(ErrorCode.VALIDATION_FAILED, f"`{name}` must be between 0 and {MAX_SIZE}, not {size}.", name)
    size = first if first is not None else last
    return PageRequest(
        size=DEFAULT_SIZE if size is None else size,
        backward=last is not None,
        after=_read_place("after", after),
        before=_read_place("before", before),
    )


def cut_page(rows: list[T], request: PageRequest, place: Callable[[T], Place]) -> Page[T]:
    """The page from up to `size + 1` rows read in the direction of the request.

    The row too many says that more follows that way; the other way something lies exactly where a cursor says so.
    """
    has_more = len(rows) > request.size
    rows = rows[: request.size]
    if request.backward:
        rows.reverse()
    return Page(
        nodes=tuple(rows),
        cursors=tuple(place(row).to_cursor() for row in rows),
        has_next=request.before is not None if request.backward else has_more,
        has_previous=has_more if request.backward else request.after is not None,
    )


def _read_place(name: str, cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    place = Place.from_cursor(cursor)
    if place is None:
        raise refuse(ErrorCode.VALIDATION_FAILED, f"`{name}` is not a cursor that this API gave.", name)
    return place
