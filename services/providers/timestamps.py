"""Times as platforms write them."""

from datetime import datetime


def read_time(text: object) -> datetime | None:
    """An ISO 8601 time with an offset (`+0000` and `Z` too) as an aware datetime; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
