"""YouTube's resumable uploads: open a session, send bytes in order, ask how many have come."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.providers.failures import RETRY, START_ANEW, NotDone, not_done
from services.providers.media_source import MediaFacts
from services.providers.shapes import object_in
from services.providers.timestamps import read_time
from services.providers.wire import Reply, Wire
from services.providers.youtube_rules import refusal_of

GRANULE = 256 * 1024
"""Every piece but the last is a multiple of this many bytes."""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The session has the first `offset` bytes."""

    offset: int


@dataclass(frozen=True, slots=True)
class Complete:
    """The session has all bytes, and they have become a video."""

    video_id: str
    published_at: datetime | None


Progress = Incomplete | Complete | NotDone


class UploadSessions:
    """Speaks the upload protocol of one API version; `wire` must allow a piece the time it takes."""

    def __init__(self, *, wire: Wire, root: str, now: Callable[[], datetime]) -> None:
        self._wire = wire
        self._root = root
        self._now = now

    async def open(self, metadata: Mapping[str, Any], facts: MediaFacts, *, token: str) -> str | NotDone:
        """The address of a new session. Nothing is on the channel before its last byte has come."""
        reply = await self._wire.send(
            "POST",
            f"{self._root}/videos",
            params={"uploadType": "resumable", "part": "snippet,status"},
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json; charset=UTF-8",
                "X-Upload-Content-Length": str(facts.size),
                "X-Upload-Content-Type": facts.content_type,
            },
            body=metadata,
        )
        if isinstance(reply, NotDone):
            return reply
        if not reply.is_success:
            return refusal_of(reply, now=self._now(), secrets=(token,))
        address = reply.headers.get("location")
        return address or not_done(RETRY, "YouTube opened no upload session.")

    async def send(self, session: str, piece: bytes, *, begin: int, size: int, token: str) -> Progress:
        """Put a piece at its place."""
        return await self._put(session, f"bytes {begin}-{begin + len(piece) - 1}/{size}", piece, token=token)

    async def ask(self, session: str, *, size: int, token: str) -> Progress:
        """How far the session is; changes nothing."""
        return await self._put(session, f"bytes */{size}", b"", token=token)

    async def cancel(self, session: str, *, token: str) -> NotDone | None:
        """Forget the session with all that was sent; None: it is gone. Google's upload hosts answer this with 499."""
        headers = {"Authorization": f"Bearer {token}", "Content-Length": "0"}
        reply = await self._wire.send("DELETE", session, headers=headers)
        if isinstance(reply, NotDone):
            return reply
        if reply.is_success or reply.status in (404, 410, 499):
            return None
        return refusal_of(reply, now=self._now(), secrets=(token, session))

    async def _put(self, session: str, place: str, piece: bytes, *, token: str) -> Progress:
        headers = {"Authorization": f"Bearer {token}", "Content-Range": place, "Content-Length": str(len(piece))}
        reply = await self._wire.send("PUT", session, headers=headers, content=piece)
        if isinstance(reply, NotDone):
            return reply
        if reply.status == 308:
            return Incomplete(_received(reply))
        if reply.status in (404, 410):
            return not_done(START_ANEW, "YouTube's upload session is gone.", platform_code=f"HTTP {reply.status}")
        if not reply.is_success:
            return refusal_of(reply, now=self._now(), secrets=(token, session))
        video_id = reply.data.get("id")
        if not video_id:
            return not_done(RETRY, "YouTube took the last byte and named no video.", is_certain=False)
        return Complete(str(video_id), read_time(object_in(reply.data, "snippet").get("publishedAt")))


def next_piece(offset: int, size: int, *, at_most: int) -> int:
    """How many bytes to send from `offset` on. The last piece is at most one granule, so that all the slow work can be
    done before the moment at which the video may be seen."""
    rest = size - offset
    if rest <= GRANULE:
        return rest
    return min(at_most, (rest - 1) // GRANULE * GRANULE)


def _received(reply: Reply) -> int:
    told = re.fullmatch(r"bytes=0-(\d+)", reply.headers.get("range", ""))
    return int(told[1]) + 1 if told else 0
