"""Moments as the API writes them."""

from datetime import UTC, datetime


def write_moment(moment: datetime) -> str:
    """RFC 3339 in UTC with exactly six digits and `Z`: the very text that PostgreSQL renders on the shorter road."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
