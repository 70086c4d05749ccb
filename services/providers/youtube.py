"""Publishing to YouTube: open a session, send the bytes, look whether the video was taken.

    start_upload → upload_bytes × n → finish_upload → check_processing
    resume_upload asks the session how far it is, after anything that leaves a doubt about that

Nothing is on the channel before the last byte, and a session makes one video only: sending its rest again is safe.
What the checkpoint holds:

    session, size, offset       where the bytes go, how many there are and how many have come
    etag                        of which file they are, where its server says so
    is_stale                    the offset is not certain
    misses                      how often in a row the medium was out of reach
    video, published_at         all bytes have come
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx

from services.domain.accounts import Platform
from services.domain.publishing import (
    Advanced,
    Checkpoint,
    Delivery,
    Discarded,
    Finding,
    Pending,
    Published,
    Rejected,
    Step,
    StepOutcome,
)
from services.providers.config import PlatformConfig
from services.providers.failures import RETRY, UNREACHABLE, NotDone, not_done, not_out
from services.providers.media_source import MediaSource
from services.providers.pacing import PROCESSING, READING, Pacing
from services.providers.wire import CALL_TIMEOUT, Wire
from services.providers.youtube_session import GRANULE, Complete, Incomplete, Progress, UploadSessions, next_piece
from services.providers.youtube_videos import VideoReader, metadata_of

PIECE_BYTES = 8 * 1024 * 1024
PIECE_TIMEOUT = timedelta(seconds=120)
MAX_MISSES = 5
"""How often in a row a medium may be out of reach before the person is told."""

START_UPLOAD = Step("start_upload", shows=False, spends=True)
UPLOAD_BYTES = Step("upload_bytes", shows=False)
FINISH_UPLOAD = Step("finish_upload", shows=True)
RESUME_UPLOAD = Step("resume_upload", shows=False)
CHECK_PROCESSING = Step("check_processing", shows=True)
"""Shows nothing more, but people may see the video already: whoever takes it over must ask."""


class YouTubeProvider:
    """Uploads videos to channels; at most one piece of a file is in memory."""

    platform = Platform.YOUTUBE
    forgets = False

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        media: MediaSource,
        config: PlatformConfig,
        now: Callable[[], datetime],
        timeout: timedelta = CALL_TIMEOUT,
        piece_bytes: int = PIECE_BYTES,
        piece_timeout: timedelta = PIECE_TIMEOUT,
        processing: Pacing = PROCESSING,
        reading: Pacing = READING,
    ) -> None:
        if piece_bytes < GRANULE or piece_bytes % GRANULE:
            raise ValueError(f"piece_bytes must be a multiple of {GRANULE}, not {piece_bytes}")
        hosts, version = config.hosts, config.api_version
        self._sessions = UploadSessions(
            wire=Wire(http=http, timeout=piece_timeout), root=f"{hosts.upload}/upload/youtube/{version}", now=now
        )
        self._videos = VideoReader(
            wire=Wire(http=http, timeout=timeout), root=f"{hosts.graph}/youtube/{version}", now=now
        )
        self._media = media
        self._site = hosts.site
        self._now = now
        self._piece_bytes = piece_bytes
        self._processing = processing
        self._reading = reading
        self._acts = {
            START_UPLOAD: self._start_upload,
            UPLOAD_BYTES: self._send_piece,
            FINISH_UPLOAD: self._send_piece,
            RESUME_UPLOAD: self._resume_upload,
            CHECK_PROCESSING: self._check_processing,
        }

    def next_step(self, delivery: Delivery) -> Step:
        """What comes next, by the checkpoint."""
        at = delivery.checkpoint
        if "video" in at:
            return CHECK_PROCESSING
        if "session" not in at:
            return START_UPLOAD
        if at.get("is_stale"):
            return RESUME_UPLOAD
        return FINISH_UPLOAD if at["size"] - at["offset"] <= GRANULE else UPLOAD_BYTES

    async def perform(self, delivery: Delivery) -> StepOutcome:
        """Do the next step."""
        return await self._acts[self.next_step(delivery)](delivery)

    async def find_out(self, delivery: Delivery) -> Finding:
        """Ask the session, which knows whether its last byte has come."""
        at = delivery.checkpoint
        if self.next_step(delivery) is CHECK_PROCESSING:
            return await self._check_processing(delivery)
        if "session" not in at:
            return Advanced(at)

        match await self._ask_session(delivery):
            case Complete() as done:
                return await self._take_video(delivery, done)
            case Incomplete(offset):
                return not_out(at, _going_on(at, offset))
            case NotDone(anew=True):
                return await self._find_without_session(delivery)
            case failed:
                return failed.ask_later(at)

    async def discard(self, checkpoint: Checkpoint, *, token: str) -> Discarded | Rejected | None:
        """End the session: of what was sent nothing is on the channel, and nothing stays."""
        if "session" not in checkpoint:
            return None
        refusal = await self._sessions.cancel(checkpoint["session"], token=token)
        return Discarded() if refusal is None else refusal.rejected(checkpoint)

    async def _start_upload(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        facts = await self._media.measure(delivery.media[0].url)
        if isinstance(facts, NotDone):
            return _without_media(facts, at)
        session = await self._sessions.open(metadata_of(delivery), facts, token=delivery.access_token)
        if isinstance(session, NotDone):
            return session.rejected(at)
        return Advanced({"session": session, "size": facts.size, "offset": 0, "etag": facts.etag})

    async def _send_piece(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        offset, size = at["offset"], at["size"]
        piece = await self._media.read(
            delivery.media[0].url,
            begin=offset,
            length=next_piece(offset, size, at_most=self._piece_bytes),
            size=size,
            etag=at.get("etag"),
        )
        if isinstance(piece, NotDone):
            return _without_media(piece, at)

        match await self._sessions.send(at["session"], piece, begin=offset, size=size, token=delivery.access_token):
            case Complete() as done:
                return await self._take_video(delivery, done)
            case Incomplete(received) if received > offset:
                return Advanced(_going_on(at, received))
            case Incomplete(received):
                return not_done(RETRY, "YouTube kept nothing of what was sent.").rejected(_going_on(at, received))
            case failed if self.next_step(delivery).shows:
                return failed.judged(at)
            case failed if failed.failure.platform_code == "badRequest":
                # An earlier piece may have come without our learning of it: where would YouTube go on?
                found = await self._resume_upload(delivery)
                is_elsewhere = isinstance(found, Advanced) and found.checkpoint["offset"] != offset
                return found if is_elsewhere else failed.rejected(at)
            case failed:
                return failed.rejected({**at, "is_stale": True})

    async def _resume_upload(self, delivery: Delivery) -> StepOutcome:
        at = delivery.checkpoint
        match await self._ask_session(delivery):
            case Complete() as done:
                return await self._take_video(delivery, done)
            case Incomplete(offset):
                return Advanced(_going_on(at, offset))
            case failed:
                return failed.rejected(at)

    async def _take_video(self, delivery: Delivery, done: Complete) -> Published | Pending | Rejected:
        published_at = (done.published_at or self._now()).isoformat()
        checkpoint = {"video": done.video_id, "published_at": published_at}
        return await self._check_processing(replace(delivery, checkpoint=checkpoint))

    async def _check_processing(self, delivery: Delivery) -> Published | Pending | Rejected:
        at = delivery.checkpoint
        processing = await self._videos.read_processing(at["video"], token=delivery.access_token)
        if isinstance(processing, NotDone) or not processing.is_done:
            # Long videos are processed for hours, and can be watched in part meanwhile: not waited for to the end.
            return self._published(at) if self._processing.is_over(at) else self._processing.pending(at)
        return self._published(at) if processing.failure is None else processing.failure.rejected({})

    async def _find_without_session(self, delivery: Delivery) -> Finding:
        """Before a session's last piece nothing can be there; after it only the channel itself can tell."""
        at = delivery.checkpoint
        if not self.next_step(delivery).shows:
            return not_out(at, {})
        found = await self._videos.find_videos(delivery)
        if isinstance(found, NotDone):
            return found.ask_later(at)
        if len(found) == 1:
            return await self._take_video(delivery, Complete(found[0], None))
        return self._reading.unknown(f"The upload session is gone, and {len(found)} new videos have this title.", at)

    async def _ask_session(self, delivery: Delivery) -> Progress:
        at = delivery.checkpoint
        return await self._sessions.ask(at["session"], size=at["size"], token=delivery.access_token)

    def _published(self, at: Checkpoint) -> Published:
        published_at = datetime.fromisoformat(at["published_at"])
        return Published(at["video"], f"{self._site}/watch?v={at['video']}", published_at)


def _going_on(at: Checkpoint, offset: int) -> dict[str, Any]:
    return {"session": at["session"], "size": at["size"], "offset": offset, "etag": at.get("etag")}


def _without_media(trouble: NotDone, at: Checkpoint) -> Rejected:
    """Trouble of the medium's server: waited for without charging an attempt, but not for ever."""
    misses = at.get("misses", 0) + 1
    if misses > MAX_MISSES:
        trouble = not_done(UNREACHABLE, trouble.failure.message)
    trouble = replace(trouble, failure=replace(trouble.failure, left=False))  # YouTube was not called
    return trouble.rejected({**at, "misses": misses})
