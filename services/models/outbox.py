"""Events that left with a commit and wait to be told."""

from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from services.models.base import Base, Created, Key


class OutboxRow(Base):
    """One event and the cache tags it makes stale; deleted once both are told."""

    __tablename__ = "outbox"

    id: Mapped[Key]
    created_at: Mapped[Created]
    user_id: Mapped[UUID]
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    tags: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default="{}")
