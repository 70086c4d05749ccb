"""Who asks."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID


class Role(StrEnum):
    """What a user may ever do."""

    PERSON = "PERSON"
    ADMIN = "ADMIN"


class Scope(IntEnum):
    """What one credential may do; each includes those before it. `ADMIN` also needs the role."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class User:
    """A person or an operator."""

    id: UUID
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users an operator looks for; None means all."""

    role: Role | None = None
    search: str | None = None
    """Text anywhere in the name, in any case."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """The user behind a request, and how far the credential reaches."""

    user: User
    scope: Scope
    credential: str
    """Names the credential for budgets and logs (`key:<id>` or `jwt`); holds no secret."""
    expires_at: datetime | None = None

    @property
    def is_admin(self) -> bool:
        """Whether this request may do what only operators may."""
        return self.user.role is Role.ADMIN and self.scope is Scope.ADMIN

    @property
    def can_write(self) -> bool:
        """Whether this request may change anything."""
        return self.scope >= Scope.WRITE
