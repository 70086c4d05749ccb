"""Workers and their heartbeats."""

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from services.models.base import Base, Created, Key


class WorkerRow(Base):
    """One worker process; gone from here some time after its last beat."""

    __tablename__ = "workers"

    id: Mapped[Key]
    host: Mapped[str]
    started_at: Mapped[Created]
    last_beat_at: Mapped[Created]
    publishing: Mapped[int] = mapped_column(Integer, server_default="0")
