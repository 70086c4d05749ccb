"""Platform quotas: one row per publication and window."""

from sqlalchemy.orm import Mapped, mapped_column

from services.models.base import Base, Moment


class QuotaSlotRow(Base):
    """One slot that one delivery holds in one window, e.g. `user:<id>|INSTAGRAM|hour`.

    `ended_at` is when the call ended, which is when its hour begins; while it is null the slot counts always.
    """

    __tablename__ = "quota_slots"

    window: Mapped[str] = mapped_column(primary_key=True)
    delivery: Mapped[str] = mapped_column(primary_key=True)
    taken_at: Mapped[Moment]
    ended_at: Mapped[Moment | None]
