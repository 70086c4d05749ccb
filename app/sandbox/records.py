"""What a platform remembers for good: people, accounts, tokens, and what was published. Kept in the journal."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

PlatformName = Literal["instagram", "facebook", "youtube"]
TokenKind = Literal[
    "instagram_short",
    "instagram_long",
    "facebook_user_short",
    "facebook_user_long",
    "facebook_page",
    "google_access",
    "google_refresh",
]
PublicationKind = Literal["image", "carousel", "reel", "story", "post", "photo", "video"]


class Person(BaseModel):
    """Somebody who can log in and say yes to an app."""

    id: str
    name: str


class Account(BaseModel):
    """A professional Instagram account, a Facebook Page or a YouTube channel."""

    id: str
    platform: PlatformName
    handle: str
    name: str
    owner: str
    """The person's id."""


class Token(BaseModel):
    """An access or refresh token; its subject is a person for Facebook users, else an account."""

    value: str
    kind: TokenKind
    subject: str
    client_id: str
    scopes: list[str]
    issued_at: datetime
    expires_at: datetime | None
    killed_by: int | None = None
    """The Graph subcode (460 password, 458 app removed, …) that says why it works no more."""

    def has_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


class MediaItem(BaseModel):
    """One picture or video of a publication; `key` names its bytes, None where they were not kept."""

    key: str | None
    kind: Literal["image", "video"]
    alt: str = ""


class Publication(BaseModel):
    """Something an account has made: a draft while `published_at` is None, then in front of people."""

    id: str
    platform: PlatformName
    kind: PublicationKind
    account_id: str
    caption: str
    title: str = ""
    link: str | None = None
    media: list[MediaItem] = []
    created_at: datetime
    published_at: datetime | None = None
    due_at: datetime | None = None
    """When Facebook itself will publish it."""
    public_at: datetime | None = None
    """When YouTube will make a private video public."""
    digest: str = ""
    """The SHA-256 of a YouTube video's bytes."""
    code: str
    """Its part of the permalink."""
    alias: str | None = None
    """A second id it answers to: a Facebook photo's post, a video's story."""
    privacy: Literal["public", "unlisted", "private"] = "public"
    tags: list[str] = []
    category: str = ""
    made_for_kids: bool = False
    attachments: list[str] = []
    """Ids of what it is made of: carousel children, a post's photos."""
    comments: list[str] = []
    failure: str | None = None
    """Why the platform took it away again after its upload (`codec`, `duplicate`, …)."""
    is_removed: bool = False

    @property
    def was_draft(self) -> bool:
        """Whether it was there before it was in front of people."""
        return self.published_at is None or self.created_at < self.published_at

    @property
    def is_live(self) -> bool:
        """Whether people can see it (a private video counts: its owner does)."""
        return self.published_at is not None and not self.is_removed
