"""Deliveries for clients before a scripted platform, one for each place a post can stand at."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from services.domain.accounts import Platform
from services.domain.options import FacebookKind, FacebookOptions, InstagramKind, InstagramOptions, TargetOptions
from services.domain.posts import Media, MediaKind
from services.domain.publishing import Delivery
from tests.services.providers.conftest import NOW

TOKEN = "EAAtoken-of-the-account"
ID = UUID(int=7)

SESSION = "https://www.googleapis.com/upload/youtube/v3/videos?upload_id=s1"
MIB = 1024 * 1024

PLACES: Mapping[str, tuple[Platform, str, TargetOptions | None, dict[str, Any]]] = {
    "create_container": (Platform.INSTAGRAM, "i", None, {}),
    "create_child": (Platform.INSTAGRAM, "ii", None, {"children": ["c1"]}),
    "poll_children": (Platform.INSTAGRAM, "ii", None, {"children": ["c1", "c2"]}),
    "poll_container": (Platform.INSTAGRAM, "v", InstagramOptions(InstagramKind.REEL), {"container": "c1"}),
    "publish_container": (Platform.INSTAGRAM, "i", None, {"container": "c1", "is_finished": True}),
    "read_permalink": (Platform.INSTAGRAM, "i", None, {"media": "m1", "published_at": NOW.isoformat()}),
    "upload_photo": (Platform.FACEBOOK, "ii", None, {"photos": ["p1"]}),
    "create_post": (Platform.FACEBOOK, "", None, {}),
    "publish_post": (Platform.FACEBOOK, "", None, {"post": "p1", "permalink": None}),
    "create_video": (Platform.FACEBOOK, "v", None, {}),
    "poll_video": (Platform.FACEBOOK, "v", None, {"video": "v1"}),
    "publish_video": (Platform.FACEBOOK, "v", None, {"video": "v1", "permalink": None, "is_ready": True}),
    "start_reel": (Platform.FACEBOOK, "v", FacebookOptions(FacebookKind.REEL), {}),
    "upload_reel": (Platform.FACEBOOK, "v", FacebookOptions(FacebookKind.REEL), {"reel": "v1"}),
    "publish_reel": (Platform.FACEBOOK, "v", FacebookOptions(FacebookKind.REEL), {"reel": "v1", "is_uploaded": True}),
    "poll_reel": (
        Platform.FACEBOOK,
        "v",
        FacebookOptions(FacebookKind.REEL),
        {"reel": "v1", "published_at": NOW.isoformat()},
    ),
    "start_upload": (Platform.YOUTUBE, "v", None, {}),
    "upload_bytes": (Platform.YOUTUBE, "v", None, {"session": SESSION, "size": 20 * MIB, "offset": 8 * MIB}),
    "finish_upload": (Platform.YOUTUBE, "v", None, {"session": SESSION, "size": 100, "offset": 0}),
    "resume_upload": (
        Platform.YOUTUBE,
        "v",
        None,
        {"session": SESSION, "size": 20 * MIB, "offset": 0, "is_stale": True},
    ),
    "check_processing": (Platform.YOUTUBE, "v", None, {"video": "y1", "published_at": NOW.isoformat()}),
}
"""By the step that comes next: the platform, the media (i: image, v: video), the options and the checkpoint."""
SHOWING = ("publish_container", "publish_post", "publish_video", "publish_reel", "finish_upload")


def a_delivery(place: str, *, caption: str = "good morning", link: str | None = None, **checkpoint: Any) -> Delivery:
    """The delivery whose next step is `place`; more of its checkpoint by name."""
    platform, media, options, stands_at = PLACES[place]
    return Delivery(
        target_id=ID,
        post_id=ID,
        account_id=ID,
        user_id=ID,
        platform=platform,
        external_account_id="1784",
        access_token=TOKEN,
        caption=caption,
        link=link,
        media=tuple(
            Media(
                id=ID,
                post_id=ID,
                kind=MediaKind.VIDEO if sign == "v" else MediaKind.IMAGE,
                url=f"https://media.example/{position}.{'mp4' if sign == 'v' else 'jpg'}",
                position=position,
            )
            for position, sign in enumerate(media)
        ),
        options=options,
        scheduled_at=NOW,
        attempt=1,
        first_claimed_at=NOW,
        checkpoint={**stands_at, **checkpoint},
    )
