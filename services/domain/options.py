"""What a person may choose per platform beyond caption and media."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from services.domain.accounts import Platform


class InstagramKind(StrEnum):
    """The shapes of an Instagram post."""

    FEED = "FEED"
    REEL = "REEL"
    STORY = "STORY"
    CAROUSEL = "CAROUSEL"


class FacebookKind(StrEnum):
    """The shapes of a Facebook Page post."""

    POST = "POST"
    REEL = "REEL"


class YouTubePrivacy(StrEnum):
    """Who sees a video."""

    PUBLIC = "PUBLIC"
    UNLISTED = "UNLISTED"
    PRIVATE = "PRIVATE"


@dataclass(frozen=True, slots=True)
class InstagramOptions:
    """`share_to_feed` concerns reels alone."""

    kind: InstagramKind = InstagramKind.FEED
    share_to_feed: bool = True


@dataclass(frozen=True, slots=True)
class FacebookOptions:
    """How a Page shows the post."""

    kind: FacebookKind = FacebookKind.POST


@dataclass(frozen=True, slots=True)
class YouTubeOptions:
    """A video's own data; the post's caption is its description. Category 22 is `People & Blogs`."""

    title: str
    privacy: YouTubePrivacy = YouTubePrivacy.PUBLIC
    tags: tuple[str, ...] = ()
    category_id: str = "22"
    made_for_kids: bool = False


TargetOptions = InstagramOptions | FacebookOptions | YouTubeOptions

OPTIONS_OF: Mapping[Platform, type[TargetOptions]] = {
    Platform.INSTAGRAM: InstagramOptions,
    Platform.FACEBOOK: FacebookOptions,
    Platform.YOUTUBE: YouTubeOptions,
}
"""Whose choices are whose."""


def options_to_json(options: TargetOptions | None) -> dict[str, Any] | None:
    """The options as they are stored: field names as here, enums by value."""
    return None if options is None else asdict(options)


def options_from_json(platform: Platform, data: dict[str, Any] | None) -> TargetOptions | None:
    """The inverse of `options_to_json`; the platform says which shape it is."""
    if data is None:
        return None
    match platform:
        case Platform.INSTAGRAM:
            return InstagramOptions(InstagramKind(data["kind"]), data["share_to_feed"])
        case Platform.FACEBOOK:
            return FacebookOptions(FacebookKind(data["kind"]))
        case Platform.YOUTUBE:
            return YouTubeOptions(
                title=data["title"],
                privacy=YouTubePrivacy(data["privacy"]),
                tags=tuple(data["tags"]),
                category_id=data["category_id"],
                made_for_kids=data["made_for_kids"],
            )
