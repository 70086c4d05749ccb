"""What a client's idempotency key already did."""

from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from services.models.base import Base, Created


class IdempotencyKeyRow(Base):
    """One use of a key: the fingerprint of its input and what it made or changed, written with that."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    operation: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    object_id: Mapped[UUID]
    created_at: Mapped[Created] = mapped_column(index=True)
