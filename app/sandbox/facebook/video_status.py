"""How far a Page's video is: uploading → processing → published, in the Graph API's three phases."""

from typing import Any

from app.sandbox.graph.lists import graph_time
from app.sandbox.objects import VideoUpload
from app.sandbox.records import Publication
from app.sandbox.world import World


def status_node(world: World, video: VideoUpload | Publication) -> dict[str, Any]:
    """The `status` field; for a published video each read brings the end of its processing nearer."""
    if isinstance(video, VideoUpload):
        return _uploading(video)
    if video.failure is not None:
        return _phases("error", "complete", "error", {"status": "error"})
    left = world.polls_left.get(video.id, 0)
    if left:
        world.polls_left[video.id] = left - 1
        return _phases("processing", "complete", "in_progress", {"status": "not_started"})
    return _phases("ready", "complete", "complete", _publishing(video))


def _uploading(video: VideoUpload) -> dict[str, Any]:
    if video.is_whole:
        return _phases("upload_complete", "complete", "not_started", {"status": "not_started"})
    status = _phases("uploading", "in_progress", "not_started", {"status": "not_started"})
    status["uploading_phase"]["bytes_transferred"] = video.sink.received
    return status


def _publishing(video: Publication) -> dict[str, Any]:
    if video.published_at is not None:
        published_at = graph_time(video.published_at)
        return {"status": "complete", "publish_status": "published", "publish_time": published_at}
    if video.due_at is not None:
        return {"status": "not_started", "publish_status": "scheduled", "publish_time": graph_time(video.due_at)}
    return {"status": "not_started", "publish_status": "draft"}


def _phases(video_status: str, uploading: str, processing: str, publishing: dict[str, Any]) -> dict[str, Any]:
    return {
        "video_status": video_status,
        "uploading_phase": {"status": uploading},
        "processing_phase": {"status": processing},
        "publishing_phase": publishing,
    }
