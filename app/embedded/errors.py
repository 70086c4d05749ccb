"""The one way in which embedded servers fail."""

from app.complaints import Complaint


class EmbeddedServersUnavailable(Complaint):
    """PostgreSQL or Redis cannot be started or joined; the message is one line that says what to do."""
