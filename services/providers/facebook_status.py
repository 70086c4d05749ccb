"""How far a Page's video or reel is, out of the three phases that Facebook tells."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from services.providers.failures import CONTENT, NotDone, not_done
from services.providers.shapes import object_in, objects_in


class VideoPhase(StrEnum):
    """What one needs to know of a video's `status`."""

    UPLOADING = "UPLOADING"
    """Bytes are here or still to come, and nobody has said that this is all."""
    PROCESSING = "PROCESSING"
    READY = "READY"
    """Processed, and not in front of people."""
    PUBLISHED = "PUBLISHED"
    FAILED = "FAILED"


_BY_VIDEO_STATUS = {
    "uploading": VideoPhase.UPLOADING,
    "upload_complete": VideoPhase.UPLOADING,
    "processing": VideoPhase.PROCESSING,
    "ready": VideoPhase.READY,
    "error": VideoPhase.FAILED,
    "expired": VideoPhase.FAILED,
    "upload_failed": VideoPhase.FAILED,
}


def phase_of(video: Mapping[str, Any]) -> VideoPhase:
    """The phase of a video that was read with its `status`; what nobody knows counts as processing."""
    status = object_in(video, "status")
    if object_in(status, "publishing_phase").get("publish_status") == "published":
        return VideoPhase.PUBLISHED
    return _BY_VIDEO_STATUS.get(str(status.get("video_status")), VideoPhase.PROCESSING)


def failure_of(video: Mapping[str, Any]) -> NotDone:
    """Why Facebook gave a video up, in its own words where it has any."""
    status = object_in(video, "status")
    phases = [object_in(status, name) for name in ("uploading_phase", "processing_phase", "publishing_phase")]
    errors = [error for phase in phases for error in (object_in(phase, "error"), *objects_in(phase.get("errors")))]
    words = "; ".join(str(error["message"]) for error in errors if error.get("message"))
    code = str(status.get("video_status"))
    return not_done(CONTENT, words or f"Facebook could not process the video ({code}).", platform_code=code)
