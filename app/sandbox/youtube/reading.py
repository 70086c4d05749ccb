"""Reading a channel: itself, its videos by id, and its uploads, latest first."""

from typing import Any

from starlette.responses import JSONResponse, Response

from app.sandbox.calls import Call
from app.sandbox.facts import take_fault
from app.sandbox.permalinks import avatar_url
from app.sandbox.records import Account, Publication
from app.sandbox.world import World
from app.sandbox.youtube.access import READ_SCOPES, enter, parts_of, spend
from app.sandbox.youtube.errors import GoogleError, bad_request

VIDEO_PARTS = frozenset({"id", "snippet", "status", "processingDetails", "contentDetails", "fileDetails", "statistics"})
CHANNEL_PARTS = frozenset({"id", "snippet", "contentDetails", "statistics", "status"})
ITEM_PARTS = frozenset({"id", "snippet", "contentDetails", "status"})
_REJECTIONS = frozenset({"duplicate", "length", "copyright", "inappropriate", "legal", "termsOfUse", "trademark"})


async def list_videos(world: World, call: Call) -> Response:
    """`videos.list` by id; ids that are missing or somebody else's private ones are left out."""
    channel, parts = _enter(world, call, VIDEO_PARTS)
    ids = [item for item in call.param("id").split(",") if item]
    if not ids:
        raise GoogleError(400, "missingRequiredParameter", "No filter selected: id is required.", domain="global")
    found = [world.publications.get(video_id) for video_id in ids]
    videos = [one for one in found if one is not None and one.account_id == channel.id and not world.is_stale(one)]
    if fault := take_fault(world, call, "fail_processing"):
        for video in videos:
            video.failure, video.is_removed = fault.detail or "codec", True
            world.save(video)
    nodes = [video_node(world, video, parts) for video in videos]
    for video in videos:
        # Each read brings the end of its processing nearer.
        world.polls_left[video.id] = max(0, world.polls_left.get(video.id, 0) - 1)
    return _answer("youtube#videoListResponse", nodes)


async def list_channels(world: World, call: Call) -> Response:
    """`channels.list` with `mine=true`."""
    channel, parts = _enter(world, call, CHANNEL_PARTS)
    if call.param("mine") != "true" and call.param("id") != channel.id:
        raise bad_request("No filter selected: mine=true or id is required.")
    return _answer("youtube#channelListResponse", [_channel_node(world, channel, parts)])


async def list_items(world: World, call: Call) -> Response:
    """`playlistItems.list` of the uploads playlist."""
    channel, parts = _enter(world, call, ITEM_PARTS)
    if call.param("playlistId") != uploads_playlist(channel):
        raise GoogleError(404, "playlistNotFound", "The playlist cannot be found.", domain="youtube.playlistItem")
    limit = call.param("maxResults", "5")
    if not limit.isdigit() or not 0 <= int(limit) <= 50:
        raise bad_request("maxResults must be between 0 and 50.")
    seen = [one for one in reversed(world.live_of(channel.id)) if not world.is_stale(one)]
    begin = int(call.param("pageToken")) if call.param("pageToken").isdigit() else 0
    page = seen[begin : begin + int(limit)]
    nodes = [_item_node(world, channel, video, parts) for video in page]
    following = {"nextPageToken": str(begin + len(page))} if begin + len(page) < len(seen) else {}
    return _answer("youtube#playlistItemListResponse", nodes, total=len(seen), **following)


def video_node(world: World, video: Publication, parts: list[str]) -> dict[str, Any]:
    """A video's resource, with the parts asked for."""
    is_working = world.polls_left.get(video.id, 0) > 0
    details: dict[str, Any] = {
        "snippet": _snippet(world, video),
        "status": _status(world, video, is_working=is_working),
        "processingDetails": {"processingStatus": _processing(video, is_working=is_working)},
        "contentDetails": {"definition": "hd", "projection": "rectangular"},
        "statistics": {"viewCount": "0", "likeCount": "0", "commentCount": str(len(video.comments))},
    }
    shown = {part: details[part] for part in parts if part in details}
    return {"kind": "youtube#video", "id": video.id, **shown}


def uploads_playlist(channel: Account) -> str:
    """The id of the playlist that holds all of a channel's uploads."""
    return "UU" + channel.id.removeprefix("UC")


def _enter(world: World, call: Call, known: frozenset[str]) -> tuple[Account, list[str]]:
    channel, token = enter(world, call, scopes=READ_SCOPES)
    spend(world, token, bucket="units", limit=world.knobs.youtube_units_per_day)
    return channel, parts_of(call, known)


def _answer(kind: str, items: list[dict[str, Any]], *, total: int | None = None, **more: str) -> Response:
    info = {"totalResults": len(items) if total is None else total, "resultsPerPage": len(items)}
    return JSONResponse({"kind": kind, "pageInfo": info, "items": items, **more})


def _snippet(world: World, video: Publication) -> dict[str, Any]:
    published_at = video.published_at or world.clock.now()
    return {
        "publishedAt": published_at.isoformat().replace("+00:00", "Z"),
        "channelId": video.account_id,
        "channelTitle": world.accounts[video.account_id].name,
        "title": video.title,
        "description": video.caption,
        "categoryId": video.category,
        "tags": video.tags,
    }


def _status(world: World, video: Publication, *, is_working: bool) -> dict[str, Any]:
    is_public_now = video.public_at is not None and video.public_at <= world.clock.now()
    status: dict[str, Any] = {
        "uploadStatus": "uploaded" if is_working else "processed",
        "privacyStatus": "public" if is_public_now else video.privacy,
        "selfDeclaredMadeForKids": video.made_for_kids,
    }
    if video.public_at is not None and not is_public_now:
        status["publishAt"] = video.public_at.isoformat().replace("+00:00", "Z")
    if video.failure is not None and not is_working:
        is_rejected = video.failure in _REJECTIONS
        status["uploadStatus"] = "rejected" if is_rejected else "failed"
        status["rejectionReason" if is_rejected else "failureReason"] = video.failure
    return status


def _processing(video: Publication, *, is_working: bool) -> str:
    if is_working:
        return "processing"
    return "succeeded" if video.failure is None else "failed"


def _channel_node(world: World, channel: Account, parts: list[str]) -> dict[str, Any]:
    picture = avatar_url(world.public_url, channel.id)
    details: dict[str, Any] = {
        "snippet": {
            "title": channel.name,
            "customUrl": f"@{channel.handle}",
            "thumbnails": {"default": {"url": picture}, "medium": {"url": picture}, "high": {"url": picture}},
        },
        "contentDetails": {"relatedPlaylists": {"uploads": uploads_playlist(channel)}},
        "statistics": {"videoCount": str(len(world.live_of(channel.id)))},
        "status": {"privacyStatus": "public", "longUploadsStatus": "allowed"},
    }
    shown = {part: details[part] for part in parts if part in details}
    return {"kind": "youtube#channel", "id": channel.id, **shown}


def _item_node(world: World, channel: Account, video: Publication, parts: list[str]) -> dict[str, Any]:
    snippet = _snippet(world, video) | {
        "playlistId": uploads_playlist(channel),
        "resourceId": {"kind": "youtube#video", "videoId": video.id},
    }
    details: dict[str, Any] = {
        "snippet": snippet,
        "contentDetails": {"videoId": video.id, "videoPublishedAt": snippet["publishedAt"]},
        "status": {"privacyStatus": video.privacy},
    }
    shown = {part: details[part] for part in parts if part in details}
    return {"kind": "youtube#playlistItem", "id": f"UU{video.id}", **shown}
