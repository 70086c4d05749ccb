"""The ledger of everything that was tried; append-only, which a trigger enforces."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from services.domain.posts import AttemptOutcome
from services.models.base import Base, Key, one_of


class AttemptRow(Base):
    """One step of one attempt, written when it ended."""

    __tablename__ = "attempts"
    __table_args__ = (one_of("outcome", AttemptOutcome), Index("ix_attempts_target_id_id", "target_id", "id"))

    id: Mapped[Key]
    target_id: Mapped[UUID] = mapped_column(ForeignKey("post_targets.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Integer)
    step: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str]
    code: Mapped[str | None]
    message: Mapped[str | None]
