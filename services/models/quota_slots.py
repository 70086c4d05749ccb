"""Platform quotas: one row per publication and window."""

from sqlalchemy.orm import Mapped, mapped_column

from services.models.base import Base, Moment


class QuotaSlotRow(Base):
    """One slot that one delivery holds in one window, e.g. `user:<id>|INSTAGRAM|hour`.

    `ended_at` is when the call ended, which is when its hour begins; while it is null, or before `taken_at` (the
    delivery is sent again), the slot counts always. It has no index, so that ending a call updates no index either.
    """

    __tablename__ = "quota_slots"

    window: Mapped[str] = mapped_column(primary_key=True)
    delivery: Mapped[str] = mapped_column(primary_key=True, index=True)
    taken_at: Mapped[Moment] = mapped_column(index=True)
    ended_at: Mapped[Moment | None]
