"""A video on a Page: Facebook fetches it unpublished, and once it is processed a stored id is turned visible.

    create_video → poll_video → publish_video

What the checkpoint holds: video, permalink and is_ready once it is processed.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from services.domain.publishing import Advanced, Checkpoint, Delivery, Finding, Published, Step, StepOutcome
from services.providers.facebook_posts import text_of
from services.providers.facebook_status import VideoPhase, failure_of, phase_of
from services.providers.failures import START_ANEW, NotDone, not_done, not_out
from services.providers.graph import GraphClient
from services.providers.pacing import Pacing
from services.providers.shapes import text_in

CREATE_VIDEO = Step("create_video", shows=False)
POLL_VIDEO = Step("poll_video", shows=False)
PUBLISH_VIDEO = Step("publish_video", shows=True)


class VideoFlow:
    """The steps of a video."""

    def __init__(
        self, *, graph: GraphClient, site: str, now: Callable[[], datetime], processing: Pacing, grace: Pacing
    ) -> None:
        self._graph = graph
        self._site = site
        self._now = now
        self._processing = processing
        self._grace = grace
        self._acts = {
            CREATE_VIDEO: self._create_video,
            POLL_VIDEO: self._poll_video,
            PUBLISH_VIDEO: self._publish_video,
        }

    def next_step(self, delivery: Delivery) -> Step:
        """What comes next, by the checkpoint."""
        at = delivery.checkpoint
        if "video" not in at:
            return CREATE_VIDEO
        return PUBLISH_VIDEO if at.get("is_ready") else POLL_VIDEO

    async def perform(self, delivery: Delivery) -> StepOutcome:
        """Do the next step."""
        return await self._acts[self.next_step(delivery)](delivery)

    async def find_out(self, delivery: Delivery) -> Finding:
        """Ask the video whether it is published."""
        at = delivery.checkpoint
        if not self.next_step(delivery).shows:
            return Advanced(at)

        video = await self._graph.get(at["video"], token=delivery.access_token, expects="id", fields="id,published")
        if isinstance(video, NotDone):
            return self._grace.unknown(video.failure.message, at) if video.is_missing else video.ask_later(at)
        if video.get("published"):
            return self._published(at)
        if not self._grace.is_over(at):
            return self._grace.unknown("Facebook says that the video is not published; reads may lag behind.", at)
        return not_out(at, _ready(at))

    async def _create_video(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        video = await self._graph.post(
            f"{delivery.external_account_id}/videos",
            token=delivery.access_token,
            expects="id",
            file_url=delivery.media[0].url,
            description=text_of(delivery),
            published="false",
        )
        return video.rejected(at) if isinstance(video, NotDone) else Advanced({"video": str(video["id"])})

    async def _poll_video(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        may_come = not self._processing.is_over(at)
        video = await self._graph.get(
            at["video"], token=delivery.access_token, expects="status", fields="status,permalink_url"
        )
        if isinstance(video, NotDone):
            return self._processing.pending(at) if video.is_missing and may_come else video.rejected(at)
        match phase_of(video):
            case VideoPhase.READY | VideoPhase.PUBLISHED:
                permalink = absolute(self._site, video.get("permalink_url"))
                return Advanced({"video": at["video"], "permalink": permalink, "is_ready": True})
            case VideoPhase.FAILED:
                return failure_of(video).rejected({})
        stuck = not_done(START_ANEW, "Facebook was still processing the video: it is sent anew.")
        return self._processing.pending(at) if may_come else stuck.rejected({})

    async def _publish_video(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        # Posts call the flag is_published, videos published.
        answer = await self._graph.post(
            at["video"], token=delivery.access_token, expects="success", is_published="true", published="true"
        )
        return answer.judged(at) if isinstance(answer, NotDone) else self._published(at)

    def _published(self, at: Checkpoint) -> Published:
        return Published(at["video"], at["permalink"], self._now())


def absolute(site: str, permalink: object) -> str | None:
    """A permalink that can be opened; Facebook gives those of videos without their host."""
    path = text_in(permalink)
    return None if path is None else urljoin(f"{site}/", path)


def _ready(at: Checkpoint) -> dict[str, Any]:
    return {"video": at["video"], "permalink": at["permalink"], "is_ready": True}
