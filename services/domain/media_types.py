"""The kinds of files that Crier takes, and how they are told apart: by their first bytes, never by what a client says.

JPEG, PNG, MP4 and MOV are what the three platforms' own documentation lets a caller rely on. Each takes the videos;
pictures are Facebook's and, as JPEG alone, Instagram's.
"""

from enum import StrEnum

from services.domain.accounts import Platform
from services.domain.posts import MediaKind

HEAD_BYTES = 64
"""As much of a file as `recognize` wants to see."""


class MediaType(StrEnum):
    """A file format by its media type (RFC 6838)."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    MP4 = "video/mp4"
    QUICKTIME = "video/quicktime"

    @property
    def kind(self) -> MediaKind:
        """Picture or video."""
        return MediaKind.IMAGE if self.value.startswith("image/") else MediaKind.VIDEO

    @property
    def extension(self) -> str:
        """How a file name of this type ends, without the dot."""
        return _EXTENSIONS[self]

    def is_taken_by(self, platform: Platform) -> bool:
        """Whether the platform publishes files of this type."""
        return self in _TAKEN_BY[platform]


_EXTENSIONS = {MediaType.JPEG: "jpg", MediaType.PNG: "png", MediaType.MP4: "mp4", MediaType.QUICKTIME: "mov"}

_VIDEOS = frozenset({MediaType.MP4, MediaType.QUICKTIME})
_TAKEN_BY = {
    Platform.INSTAGRAM: _VIDEOS | {MediaType.JPEG},
    Platform.FACEBOOK: _VIDEOS | {MediaType.JPEG, MediaType.PNG},
    Platform.YOUTUBE: _VIDEOS,
}

_MP4_BRANDS = (b"isom", b"iso", b"mp4", b"avc1", b"M4V", b"MSNV", b"dash", b"cmf", b"3gp4", b"3gp5")
_OLD_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip")
"""What QuickTime files begin with that are older than the `ftyp` box."""


def recognize(head: bytes) -> MediaType | None:
    """The type that a file's first bytes tell, or None for one that Crier does not take."""
    if head.startswith(b"\xff\xd8\xff"):
        return MediaType.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return MediaType.PNG
    if head[4:8] == b"ftyp":
        return _by_brand(head[8:12])
    if head[4:8] in _OLD_QUICKTIME:
        return MediaType.QUICKTIME
    return None


def _by_brand(brand: bytes) -> MediaType | None:
    if brand == b"qt  ":
        return MediaType.QUICKTIME
    return MediaType.MP4 if brand.startswith(_MP4_BRANDS) else None
