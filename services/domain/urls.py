"""What counts as a web address."""

from urllib.parse import urlsplit

LONGEST = 2_048


def is_web_url(text: str) -> bool:
    """Whether `text` is an absolute http or https URL with a host, at most 2,048 characters and no white space."""
    if len(text) > LONGEST or any(c.isspace() for c in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False
