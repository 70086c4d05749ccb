"""The scalars that GraphQL lacks: moments in UTC and web addresses."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from services.domain.moments import write_moment

Url = NewType("Url", str)

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def read_moment(value: object) -> datetime:
    """A moment from RFC 3339; one without an offset could mean any of 38 hours and is refused."""
    match = _RFC_3339.fullmatch(value) if isinstance(value, str) else None
    if not isinstance(value, str) or match is None:
        raise GraphQLError(f"A DateTime is a string like `2026-11-23T21:50:56Z`, not {_shown(value)}.")
    if match[2] is None:
        raise GraphQLError(f"A DateTime needs its offset, `Z` or one like `+01:00`; {_shown(value)} has none.")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise GraphQLError(f"There is no such DateTime as {_shown(value)}.") from None


def read_url(value: object) -> Url:
    """Any string: what is no web address is the person's to mend, so the mutation says it, with the field's name."""
    if not isinstance(value, str):
        raise GraphQLError(f"A Url is a string, not {_shown(value)}.")
    return Url(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


SCALARS: Mapping[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment as RFC 3339 says it. Answers are in UTC with microseconds, such as "
        "`2026-11-23T21:50:56.123456Z`; input may have any offset but must have one.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339",
        serialize=write_moment,
        parse_value=read_moment,
    ),
    Url: strawberry.scalar(
        name="Url",
        description="An absolute http or https URL of at most 2,048 characters.",
        specified_by_url="https://url.spec.whatwg.org/",
        serialize=str,
        parse_value=read_url,
    ),
}
