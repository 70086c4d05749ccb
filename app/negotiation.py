"""Which kind of answer a client wants: the `Accept` header as RFC 9110 reads it, for the three that GraphQL has.

`application/graphql-response+json` says by its status what became of the request. `application/json` answers 200
whatever came of a well-formed request, as old clients expect. `text/event-stream` streams (graphql-sse, distinct mode).
"""

from functools import lru_cache
from typing import NamedTuple

from app.faults import BadRequest

GRAPHQL_JSON = "application/graphql-response+json"
PLAIN_JSON = "application/json"
EVENT_STREAM = "text/event-stream"

_OFFERED = (GRAPHQL_JSON, PLAIN_JSON, EVENT_STREAM)
"""In our own order of preference, which decides where the client has none."""


_MOST_RANGES = 50
"""Browsers name ten at most. The rest of a longer list is not read: it could take longer than any document."""


class _Wanted(NamedTuple):
    """One range of an `Accept` header."""

    media_range: str
    quality: float
    position: int

    def matches(self, media_type: str) -> bool:
        """Whether the range covers a type; only a word-for-word match may ask for a stream."""
        if self.media_range == media_type:
            return True
        main, _, rest = self.media_range.partition("/")
        covers = self.media_range == "*/*" or (rest == "*" and media_type.startswith(f"{main}/"))
        return covers and media_type != EVENT_STREAM

    @property
    def precision(self) -> int:
        """The more precise range decides about a type: `a/b` before `a/*` before `*/*`."""
        return 2 - self.media_range.count("*")


@lru_cache(maxsize=64)
def choose_media_type(accept: str) -> str:
    """The best of what is offered; without a header, what the specification says. Raises BadRequest (406)."""
    if not accept.strip():
        return GRAPHQL_JSON
    ranges = accept.split(",", _MOST_RANGES)[:_MOST_RANGES]
    wanted = [_read_range(text, position) for position, text in enumerate(ranges)]
    best: tuple[float, int, int] | None = None
    chosen = ""
    for media_type in _OFFERED:
        matching = [range_ for range_ in wanted if range_.matches(media_type)]
        if not matching:
            continue
        decisive = max(matching, key=lambda range_: range_.precision)
        rank = (decisive.quality, decisive.precision, -decisive.position)
        if decisive.quality > 0 and (best is None or rank > best):
            best, chosen = rank, media_type
    if not chosen:
        raise BadRequest(f"Answers come as {', '.join(_OFFERED)}; the Accept header allows none of them.", status=406)
    return chosen


def _read_range(text: str, position: int) -> _Wanted:
    media_range, *parameters = (part.strip() for part in text.lower().split(";"))
    quality, charset = 1.0, "utf-8"
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            quality = _read_quality(value)
        if name == "charset":
            charset = value.strip('"')
    return _Wanted(media_range, quality if charset in ("utf-8", "utf8") else 0.0, position)


def _read_quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 1.0
