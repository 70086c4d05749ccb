"""Connected accounts, and the platforms they live on."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

EXPIRY_WARNINGS = (1, 7, 14)
"""So many days before its token ends the person is warned, anew each time; a token that refreshes itself gives only the
last of these warnings: then refreshing has been failing for days."""


class Platform(StrEnum):
    """Where posts go."""

    INSTAGRAM = "INSTAGRAM"
    FACEBOOK = "FACEBOOK"
    YOUTUBE = "YOUTUBE"

    @property
    def label(self) -> str:
        """The platform as people write it."""
        return "YouTube" if self is Platform.YOUTUBE else self.value.title()

    @property
    def breaker(self) -> str:
        """The name of the circuit breaker before this platform's API."""
        return f"{self.value.lower()}-api"


class AccountStatus(StrEnum):
    """Whether an account can publish."""

    CONNECTED = "CONNECTED"
    EXPIRING = "EXPIRING"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    DISCONNECTED = "DISCONNECTED"

    @property
    def can_publish(self) -> bool:
        """Whether the platform would take a post from this account now."""
        return self in (AccountStatus.CONNECTED, AccountStatus.EXPIRING)


@dataclass(frozen=True, slots=True)
class Account:
    """One account on one platform, connected by one user; its tokens never leave the services."""

    id: UUID
    user_id: UUID
    platform: Platform
    external_id: str
    handle: str
    display_name: str
    avatar_url: str | None
    status: AccountStatus
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    expiry_warning: int | None = None
    """Its token ends within so many days: the closest of `EXPIRY_WARNINGS`; None: there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a platform gave us to act for an account."""

    access: str
    refresh: str | None = None
    expires_at: datetime | None = None
    """When the access token ends; None for one that does not."""
    scopes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Tokens(expires_at={self.expires_at!r})"


@dataclass(frozen=True, slots=True)
class ConnectedProfile:
    """An account as the platform describes it at the end of an OAuth round trip."""

    external_id: str
    handle: str
    display_name: str
    avatar_url: str | None
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts a list shows; None means all."""

    platforms: tuple[Platform, ...] | None = None
    statuses: tuple[AccountStatus, ...] | None = None
