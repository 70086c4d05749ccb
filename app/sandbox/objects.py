"""What a platform remembers for a while: containers, uploads, codes. Gone with the process, as unfinished work is."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from app.sandbox.records import MediaItem, PlatformName

KEPT_BYTES = 32 * 1024 * 1024
"""An upload larger than this is counted and checked but not kept for the feed page."""


class Sink:
    """Bytes that arrive piece by piece: all are counted and hashed, a bounded number kept."""

    def __init__(self) -> None:
        self.received = 0
        self._kept = bytearray()
        self._digest = hashlib.sha256()

    def add(self, content: bytes) -> None:
        """Take the next bytes."""
        self.received += len(content)
        self._digest.update(content)
        if self.received <= KEPT_BYTES:
            self._kept += content
        else:
            del self._kept[1024:]

    @property
    def head(self) -> bytes:
        """The first bytes, enough to tell what it is."""
        return bytes(self._kept[:1024])

    @property
    def content(self) -> bytes | None:
        """All of it, or None where it was too much to keep."""
        return bytes(self._kept) if self.received <= KEPT_BYTES else None

    @property
    def digest(self) -> str:
        """The SHA-256 of all of it."""
        return self._digest.hexdigest()


ContainerKind = Literal["IMAGE", "VIDEO", "REELS", "STORIES", "CAROUSEL"]


@dataclass(slots=True, kw_only=True)
class Container:
    """An Instagram media container on its way from IN_PROGRESS to PUBLISHED."""

    id: str
    account_id: str
    kind: ContainerKind
    caption: str
    created_at: datetime
    polls_left: int
    is_child: bool = False
    media: list[MediaItem] = field(default_factory=list)
    children: list["Container"] = field(default_factory=list)
    upload: Sink | None = None
    fetching: asyncio.Task[None] | None = None
    failure: int | None = None
    """The subcode that its status ERROR tells."""
    is_expired: bool = False
    is_published: bool = False
    stale_reads: int = 0
    """Reads that still say FINISHED although it was published."""


@dataclass(slots=True, kw_only=True)
class VideoUpload:
    """A Facebook video or reel before its upload is finished."""

    id: str
    page_id: str
    kind: Literal["video", "reel"]
    created_at: datetime
    session_id: str
    size: int | None = None
    sink: Sink = field(default_factory=Sink)
    caption: str = ""
    is_whole: bool = False


@dataclass(slots=True, kw_only=True)
class UploadSession:
    """A YouTube resumable upload; nothing is on the channel before its last byte."""

    id: str
    channel_id: str
    created_at: datetime
    size: int | None
    title: str
    caption: str
    tags: list[str]
    category: str
    privacy: Literal["public", "unlisted", "private"]
    public_at: datetime | None
    made_for_kids: bool
    parts: list[str]
    sink: Sink = field(default_factory=Sink)
    video_id: str | None = None

    LIFETIME = timedelta(days=7)

    def is_gone(self, now: datetime) -> bool:
        """Whether Google has forgotten it."""
        return now - self.created_at > self.LIFETIME


@dataclass(slots=True, kw_only=True)
class Grant:
    """A person's yes, waiting to be exchanged: the code of an OAuth round trip."""

    code: str
    platform: PlatformName
    subject: str
    client_id: str
    redirect_uri: str
    scopes: list[str]
    challenge: str | None
    is_offline: bool
    """Whether a refresh token was asked for (Google's `access_type=offline`)."""
    expires_at: datetime
    is_used: bool = False


@dataclass(slots=True, kw_only=True)
class Visit:
    """A request in the control API's journal."""

    at: datetime
    route: str
    method: str
    path: str
    params: dict[str, str]
    body_bytes: int
    is_whole: bool
    status: int | None = None
    """None while it runs, where the connection was dropped, or where the request never ended."""
    faults: list[str]
