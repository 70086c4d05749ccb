"""The one way in which embedded servers fail."""


class EmbeddedServersUnavailable(Exception):
    """PostgreSQL or Redis cannot be started or joined; the message is one line that says what to do."""
