"""People and operators, and the keys they come with."""

from uuid import UUID

from sqlalchemy import ForeignKey, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from services.domain.viewers import Role
from services.models.base import Base, Created, Key, Moment, one_of


class UserRow(Base):
    """One user; `subject` is the `sub` claim of their JWTs."""

    __tablename__ = "users"
    __table_args__ = (one_of("role", Role),)

    id: Mapped[Key]
    name: Mapped[str]
    role: Mapped[str]
    subject: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[Created]


class ApiKeyRow(Base):
    """One API key; only the SHA-256 of its secret is stored, which 256 random bits make enough."""

    __tablename__ = "api_keys"

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    secret_hash: Mapped[bytes]
    scope: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[Created]
    expires_at: Mapped[Moment | None]
    revoked_at: Mapped[Moment | None]
    last_used_at: Mapped[Moment | None]
