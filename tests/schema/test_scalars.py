"""Moments and web addresses."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from schema.scalars import read_moment, read_url
from services.domain.moments import write_moment

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=OFFSETS)  # noqa: DTZ001 — hypothesis adds zones


@given(MOMENTS)
def test_moments_are_written_in_utc_with_six_digits_and_read_back(moment: datetime) -> None:
    """The text has one form, and says the same instant."""
    text = write_moment(moment)
    assert text == moment.astimezone(UTC).strftime(f"{moment.astimezone(UTC).year:04}-%m-%dT%H:%M:%S.%fZ")
    assert read_moment(text) == moment


@given(MOMENTS)
def test_moments_with_any_offset_are_the_same_instant_in_utc(moment: datetime) -> None:
    """What comes in with an offset goes on as UTC."""
    read = read_moment(moment.isoformat())
    assert read == moment
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["2026-11-23T21:50:56z", "2026-11-23t21:50:56.1Z", "2026-11-23T22:50:56.123456789+01:00"]
)
def test_moments_may_have_any_form_of_rfc_3339(text: str) -> None:
    """Small letters, and from none to nine digits."""
    assert read_moment(text).replace(microsecond=0) == datetime(2026, 11, 23, 21, 50, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2026-11-23T21:50:56", "needs its offset"),
        ("2026-11-23T21:50:56.5", "needs its offset"),
        ("2026-02-30T00:00:00Z", "no such DateTime"),
        ("2026-11-23T24:30:00Z", "no such DateTime"),
        ("2026-11-23T21:50:60Z", "no such DateTime"),
        ("2026-11-23T21:50:56+25:00", "no such DateTime"),
        ("0001-01-01T00:00:00+01:00", "no such DateTime"),
        ("9999-12-31T23:59:59-01:00", "no such DateTime"),
        ("2026-11-23", "is a string like"),
        ("20261123T215056Z", "is a string like"),
        ("2026-11-23 21:50:56Z", "is a string like"),
        ("２０２６-11-23T21:50:56Z", "is a string like"),
        ("2026-11-23T21:50:56Z\n", "is a string like"),
        ("soon" * 100, "is a string like"),
        ("", "is a string like"),
        (1_700_000_000, "is a string like"),
        (True, "is a string like"),
        ([], "is a string like"),
    ],
)
def test_moments_that_are_none_are_refused_in_words(value: object, said: str) -> None:
    """The error says what was expected and what came, in few words whatever came."""
    with pytest.raises(GraphQLError, match=said) as refused:
        read_moment(value)
    assert len(str(refused.value)) < 200


def test_urls_are_strings() -> None:
    """What is no string is the program's mistake, not the person's."""
    assert read_url("nonsense") == "nonsense"
    with pytest.raises(GraphQLError, match="A Url is a string, not 3"):
        read_url(3)
