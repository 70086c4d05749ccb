"""What publishing tells whoever watches it. Nothing comes back: watching changes nothing."""

from datetime import datetime
from typing import Protocol

from services.domain.accounts import Platform
from services.domain.posts import Attempt


class Watch(Protocol):
    """Hears of what is committed, once each."""

    def note_looked_at(self, platform: Platform, late_by: float) -> None:
        """A worker came to a due target, so many seconds after its moment."""
        ...

    def note_refused(self, platform: Platform) -> None:
        """A due target found one of its quotas full."""
        ...

    def note_attempt(self, platform: Platform, attempt: Attempt) -> None:
        """A line was written into the ledger."""
        ...

    def note_published(self, platform: Platform, planned: datetime, seen: datetime) -> None:
        """A post is in front of people."""
        ...
