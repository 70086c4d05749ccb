"""What was prepared at a platform and is not wanted any more."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.domain.accounts import Platform
from services.models.base import Base, Key, Moment, one_of


class LeftoverRow(Base):
    """One checkpoint that a cancel, an edit or a lost lease left without a target; gone once it is taken away.

    `target_id` is whose ledger tells of it; the target itself may be deleted before that.
    """

    __tablename__ = "leftovers"
    __table_args__ = (one_of("platform", Platform), Index("ix_leftovers_due_at", "due_at"))

    id: Mapped[Key]
    target_id: Mapped[UUID]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    platform: Mapped[str]
    attempt: Mapped[int] = mapped_column(Integer)
    checkpoint: Mapped[dict[str, Any]] = mapped_column(JSONB)
    due_at: Mapped[Moment]
    tries: Mapped[int] = mapped_column(Integer, server_default="0")
