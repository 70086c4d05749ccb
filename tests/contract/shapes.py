"""Everything a post can be on the three platforms, as deliveries to a sandbox."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.domain.accounts import Platform
from services.domain.ids import new_id
from services.domain.options import (
    FacebookKind,
    FacebookOptions,
    InstagramKind,
    InstagramOptions,
    TargetOptions,
    YouTubeOptions,
)
from services.domain.posts import Media, MediaKind
from services.domain.publishing import Delivery

ACCOUNTS: Mapping[Platform, str] = {
    Platform.INSTAGRAM: "17841400000000001",
    Platform.FACEBOOK: "110000000000001",
    Platform.YOUTUBE: "UCsandboxAdaLumen0000001",
}
"""Accounts that every sandbox has."""
MEDIA_HOST = "http://media.example"
"""Where the tests' own media host answers, see `tests.contract.media`."""


@dataclass(frozen=True)
class Shape:
    """One kind of post; `media` are names of sandbox samples, or addresses."""

    platform: Platform
    media: tuple[str, ...] = ()
    options: TargetOptions | None = None
    link: str | None = None


SHAPES: Mapping[str, Shape] = {
    "instagram_image": Shape(Platform.INSTAGRAM, ("sunrise.jpg",)),
    "instagram_reel": Shape(Platform.INSTAGRAM, ("clip.mp4",), InstagramOptions(InstagramKind.REEL)),
    "instagram_story": Shape(Platform.INSTAGRAM, ("dusk.jpg",), InstagramOptions(InstagramKind.STORY)),
    "instagram_carousel": Shape(Platform.INSTAGRAM, ("sunrise.jpg", "clip.mp4", "dusk.jpg")),
    "facebook_text": Shape(Platform.FACEBOOK),
    "facebook_link": Shape(Platform.FACEBOOK, link="https://crier.example/news"),
    "facebook_photo": Shape(Platform.FACEBOOK, ("ocean.jpg",)),
    "facebook_photos": Shape(Platform.FACEBOOK, ("ocean.jpg", "night.jpg", "desert.jpg")),
    "facebook_video": Shape(Platform.FACEBOOK, ("clip.mp4",)),
    "facebook_reel": Shape(Platform.FACEBOOK, ("clip.mp4",), FacebookOptions(FacebookKind.REEL)),
    "youtube_short": Shape(Platform.YOUTUBE, (f"{MEDIA_HOST}/short.mp4",), YouTubeOptions("A title", tags=("a", "b"))),
    "youtube_long": Shape(Platform.YOUTUBE, (f"{MEDIA_HOST}/long.mp4",), YouTubeOptions("A title")),
}
SHOWING = ("publish_container", "publish_post", "publish_video", "publish_reel", "finish_upload")
"""The steps that put a post in front of people."""


def a_delivery(
    shape: Shape, *, sandbox_url: str, token: str, caption: str = "good morning", claimed_at: datetime | None = None
) -> Delivery:
    """The shape as a target of a post, claimed now."""
    post_id, now = new_id(), datetime.now(UTC)
    return Delivery(
        target_id=new_id(),
        post_id=post_id,
        account_id=new_id(),
        user_id=new_id(),
        platform=shape.platform,
        external_account_id=ACCOUNTS[shape.platform],
        access_token=token,
        caption=caption,
        link=shape.link,
        media=tuple(
            Media(
                id=new_id(),
                post_id=post_id,
                kind=MediaKind.VIDEO if name.endswith("mp4") else MediaKind.IMAGE,
                url=name if name.startswith("http") else f"{sandbox_url}/samples/{name}",
                position=position,
                alt_text="a view",
            )
            for position, name in enumerate(shape.media)
        ),
        options=shape.options,
        scheduled_at=now,
        attempt=1,
        first_claimed_at=claimed_at or now,
    )


def with_media(delivery: Delivery, *urls: str) -> Delivery:
    """The delivery with other addresses of its media."""
    media = tuple(replace(one, url=url) for one, url in zip(delivery.media, urls, strict=True))
    return replace(delivery, media=media)
