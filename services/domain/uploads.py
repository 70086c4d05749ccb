"""Media that people upload, as they are once stored."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.domain.ids import Kind, encode_id
from services.domain.media_types import MediaType
from services.domain.posts import MediaKind


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a file turned out to be; pixels as it is shown, seconds."""

    type: MediaType
    width: int
    height: int
    duration_seconds: float | None = None
    """None for a picture."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One stored file; `path` is its place in the object store."""

    id: UUID
    user_id: UUID
    type: MediaType
    path: str
    size_bytes: int
    width: int
    height: int
    duration_seconds: float | None
    created_at: datetime

    @property
    def kind(self) -> MediaKind:
        """Picture or video."""
        return self.type.kind

    @property
    def file_name(self) -> str:
        """The last part of its public address: some platforms go by the ending."""
        return f"{encode_id(Kind.UPLOAD, self.id)}.{self.type.extension}"
