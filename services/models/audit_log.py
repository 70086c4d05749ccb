"""What operators did."""

from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.models.base import Base, Created, Key


class AuditRow(Base):
    """One admin action."""

    __tablename__ = "audit_log"

    id: Mapped[Key]
    at: Mapped[Created]
    actor_id: Mapped[UUID]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
