"""Media that people uploaded."""

from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from services.domain.posts import MediaKind
from services.models.base import Base, Created, Key, one_of


class UploadRow(Base):
    """One stored file; `path` is its place in the object store."""

    __tablename__ = "uploads"
    __table_args__ = (one_of("kind", MediaKind),)

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    content_type: Mapped[str]
    path: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int | None]
    height: Mapped[int | None]
    duration_seconds: Mapped[float | None]
    created_at: Mapped[Created]
