"""What a YouTube video is made of, and what can be read of one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.domain.drafts import youtube_title
from services.domain.options import YouTubeOptions
from services.domain.publishing import Delivery
from services.providers.failures import CONTENT, NotDone, not_done
from services.providers.shapes import object_in, objects_in, text_in
from services.providers.timestamps import read_time
from services.providers.wire import Wire
from services.providers.youtube_rules import REASONS, refusal_of


@dataclass(frozen=True, slots=True)
class Processing:
    """How far YouTube is with a video; `failure` where it gave it up."""

    is_done: bool
    failure: NotDone | None = None


def metadata_of(delivery: Delivery) -> dict[str, Any]:
    """The body that opens an upload."""
    options = options_of(delivery)
    return {
        "snippet": {
            "title": options.title,
            "description": delivery.caption,
            "tags": list(options.tags),
            "categoryId": options.category_id,
        },
        "status": {"privacyStatus": options.privacy.value.lower(), "selfDeclaredMadeForKids": options.made_for_kids},
    }


def options_of(delivery: Delivery) -> YouTubeOptions:
    """What was chosen for YouTube, or what the caption suggests."""
    chosen = delivery.options
    return chosen if isinstance(chosen, YouTubeOptions) else YouTubeOptions(title=youtube_title(delivery.caption))


class VideoReader:
    """Reads a channel's videos."""

    def __init__(self, *, wire: Wire, root: str, now: Callable[[], datetime]) -> None:
        self._wire = wire
        self._root = root
        self._now = now

    async def read_processing(self, video_id: str, *, token: str) -> Processing | NotDone:
        """How far YouTube is with one video; one that cannot be seen yet is still at work."""
        items = await self._list("videos", token, part="status,processingDetails", id=video_id)
        if isinstance(items, NotDone):
            return items
        return _processing_of(items[0]) if items else Processing(is_done=False)

    async def find_videos(self, delivery: Delivery) -> list[str] | NotDone:
        """The ids of the channel's newest uploads with the delivery's title that are no older than its first claim."""
        token = delivery.access_token
        channels = await self._list("channels", token, part="contentDetails", mine="true")
        if isinstance(channels, NotDone):
            return channels
        channel = channels[0] if channels else None
        playlist = str(object_in(channel, "contentDetails", "relatedPlaylists").get("uploads"))
        items = await self._list("playlistItems", token, part="snippet", playlistId=playlist, maxResults="50")
        if isinstance(items, NotDone):
            return items
        fitting = [item for item in items if _fits(object_in(item, "snippet"), delivery)]
        return [str(object_in(item, "snippet", "resourceId").get("videoId")) for item in fitting]

    async def _list(self, collection: str, token: str, **params: str) -> list[Mapping[str, Any]] | NotDone:
        headers = {"Authorization": f"Bearer {token}"}
        reply = await self._wire.send("GET", f"{self._root}/{collection}", headers=headers, params=params)
        if isinstance(reply, NotDone):
            return reply
        if not reply.is_success:
            return refusal_of(reply, now=self._now(), secrets=(token,))
        return objects_in(reply.data.get("items"))


def _fits(snippet: Mapping[str, Any], delivery: Delivery) -> bool:
    published_at = read_time(snippet.get("publishedAt"))
    # YouTube tells whole seconds: the moment of the claim is cut to its second, too.
    earliest = delivery.first_claimed_at.replace(microsecond=0)
    return published_at is not None and published_at >= earliest and snippet.get("title") == options_of(delivery).title


def _processing_of(video: Mapping[str, Any]) -> Processing:
    status = object_in(video, "status")
    match status.get("uploadStatus"):
        case "processed":
            return Processing(is_done=True)
        case "failed":
            return _given_up(text_in(status.get("failureReason")) or "failed")
        case "rejected":
            return _given_up(text_in(status.get("rejectionReason")) or "rejected")
        case "deleted":
            return _given_up("deleted")
    details = object_in(video, "processingDetails")
    match details.get("processingStatus"):
        case "succeeded":
            return Processing(is_done=True)
        case "failed" | "terminated" as end:
            return _given_up(text_in(details.get("processingFailureReason")) or str(end))
    return Processing(is_done=False)


def _given_up(reason: str) -> Processing:
    failure = not_done(REASONS.get(reason, CONTENT), f"YouTube did not take the video: {reason}.", platform_code=reason)
    return Processing(is_done=True, failure=failure)
