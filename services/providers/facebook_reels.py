"""A reel on a Page: start gives an id, Facebook fetches the bytes, finish shows it once it is processed.

    start_reel → upload_reel → publish_reel → poll_reel

What the checkpoint holds: reel (the video's id), is_uploaded, published_at once finish was accepted.
"""

from collections.abc import Callable
from datetime import datetime

import httpx

from services.domain.publishing import (
    Advanced,
    Delivery,
    Finding,
    Pending,
    Published,
    Rejected,
    Step,
    StepOutcome,
    Unknown,
)
from services.providers.facebook_posts import text_of
from services.providers.facebook_status import VideoPhase, failure_of, phase_of
from services.providers.facebook_videos import absolute
from services.providers.failures import NotDone, not_out
from services.providers.graph import Answer, GraphClient
from services.providers.pacing import Pacing

START_REEL = Step("start_reel", shows=False)
UPLOAD_REEL = Step("upload_reel", shows=False)
PUBLISH_REEL = Step("publish_reel", shows=True)
POLL_REEL = Step("poll_reel", shows=True)
"""Shows nothing more, but people may see the reel already: whoever takes it over must ask."""


class ReelFlow:
    """The steps of a reel."""

    def __init__(
        self,
        *,
        graph: GraphClient,
        upload_root: str,
        site: str,
        now: Callable[[], datetime],
        processing: Pacing,
        grace: Pacing,
    ) -> None:
        self._graph = graph
        self._upload_root = upload_root
        self._site = site
        self._now = now
        self._processing = processing
        self._grace = grace
        self._acts = {
            START_REEL: self._start_reel,
            UPLOAD_REEL: self._upload_reel,
            PUBLISH_REEL: self._publish_reel,
            POLL_REEL: self._poll_reel,
        }

    def next_step(self, delivery: Delivery) -> Step:
        """What comes next, by the checkpoint."""
        at = delivery.checkpoint
        if "reel" not in at:
            return START_REEL
        if "published_at" in at:
            return POLL_REEL
        return PUBLISH_REEL if at.get("is_uploaded") else UPLOAD_REEL

    async def perform(self, delivery: Delivery) -> StepOutcome:
        """Do the next step."""
        return await self._acts[self.next_step(delivery)](delivery)

    async def find_out(self, delivery: Delivery) -> Finding:
        """Ask the reel how far it is."""
        at = delivery.checkpoint
        if self.next_step(delivery) is POLL_REEL:
            return await self._poll_reel(delivery)
        if not self.next_step(delivery).shows:
            return Advanced(at)

        reel = await self._read(delivery, "status")
        if isinstance(reel, NotDone):
            return self._grace.unknown(reel.failure.message, at) if reel.is_missing else reel.ask_later(at)
        match phase_of(reel):
            case VideoPhase.PUBLISHED:
                return Published(at["reel"], await self._permalink(delivery), self._now())
            case VideoPhase.FAILED:
                return failure_of(reel).rejected({})
            case VideoPhase.UPLOADING | VideoPhase.READY if self._grace.is_over(at):
                return not_out(at, {"reel": at["reel"], "is_uploaded": True})
            case phase:
                return self._grace.unknown(f"Facebook says that the reel is {phase}.", at)

    async def _start_reel(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        started = await self._graph.post(
            f"{delivery.external_account_id}/video_reels",
            token=delivery.access_token,
            expects="video_id",
            upload_phase="start",
        )
        return started.rejected(at) if isinstance(started, NotDone) else Advanced({"reel": str(started["video_id"])})

    async def _upload_reel(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        answer = await self._graph.call(
            "POST",
            f"{self._upload_root}/{at['reel']}",
            token=delivery.access_token,
            scheme="OAuth",
            expects=("success",),
            # httpx writes an address with other letters in it as ASCII, which is all that a header can hold.
            headers={"file_url": str(httpx.URL(delivery.media[0].url))},
        )
        if isinstance(answer, NotDone):
            return answer.rejected(at)
        return Advanced({"reel": at["reel"], "is_uploaded": True})

    async def _publish_reel(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        answer = await self._graph.post(
            f"{delivery.external_account_id}/video_reels",
            token=delivery.access_token,
            expects="success",
            upload_phase="finish",
            video_id=at["reel"],
            video_state="PUBLISHED",
            description=text_of(delivery),
        )
        if isinstance(answer, NotDone):
            return answer.judged(at)
        return self._processing.pending({"reel": at["reel"], "published_at": self._now().isoformat()})

    async def _poll_reel(self, delivery: Delivery) -> Published | Pending | Rejected | Unknown:
        at = delivery.checkpoint
        reel = await self._read(delivery, "status,permalink_url")
        if not isinstance(reel, NotDone):
            match phase_of(reel):
                case VideoPhase.PUBLISHED:
                    published_at = datetime.fromisoformat(at["published_at"])
                    return Published(at["reel"], absolute(self._site, reel.get("permalink_url")), published_at)
                case VideoPhase.FAILED:
                    return failure_of(reel).rejected({})
        if self._processing.is_over(at):
            return self._processing.unknown("Facebook took the reel and still does not show it.", at)
        return self._processing.pending(at)

    async def _read(self, delivery: Delivery, fields: str) -> Answer:
        return await self._graph.get(
            delivery.checkpoint["reel"], token=delivery.access_token, expects="status", fields=fields
        )

    async def _permalink(self, delivery: Delivery) -> str | None:
        reel = await self._read(delivery, "status,permalink_url")
        return None if isinstance(reel, NotDone) else absolute(self._site, reel.get("permalink_url"))
