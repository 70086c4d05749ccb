"""Resumable uploads: a session is opened with the metadata, bytes come in order, the last one makes the video."""

from datetime import timedelta

from starlette.responses import JSONResponse, Response

from app.sandbox import naming
from app.sandbox.calls import Call
from app.sandbox.facts import take_fault
from app.sandbox.media import is_youtube_video
from app.sandbox.objects import Sink, UploadSession
from app.sandbox.records import MediaItem, Publication
from app.sandbox.world import World
from app.sandbox.youtube.access import WRITE_SCOPES, enter, parts_of, spend
from app.sandbox.youtube.errors import GoogleError, bad_request, no_such_session
from app.sandbox.youtube.metadata import read_metadata
from app.sandbox.youtube.ranges import GRANULE, read_range
from app.sandbox.youtube.reading import VIDEO_PARTS, video_node

MAX_BYTES = 256 * 1024**3
CHANNEL_WINDOW = timedelta(hours=24)
CANCELED = 499
"""How Google's upload hosts say that a session ended because its client wished it."""


async def start(world: World, call: Call) -> Response:
    """`videos.insert` with `uploadType=resumable`: check the metadata, give the session's address."""
    channel, token = enter(world, call, scopes=WRITE_SCOPES)
    spend(world, token, bucket="videos.insert", limit=world.knobs.youtube_inserts_per_day)
    if call.param("uploadType") != "resumable":
        raise bad_request("uploadType must be resumable.")
    parts = parts_of(call, VIDEO_PARTS)
    if not call.headers.get("content-type", "").startswith("application/json"):
        raise bad_request("The metadata must be sent as application/json; charset=UTF-8.")
    metadata = read_metadata(call.json, now=world.clock.now())
    _check_channel(world, channel.id)

    is_forced = world.knobs.youtube_forces_private
    session = UploadSession(
        id=naming.code(32),
        channel_id=channel.id,
        created_at=world.clock.now(),
        size=_announced_size(call),
        title=metadata.title,
        caption=metadata.description,
        tags=metadata.tags,
        category=metadata.category,
        privacy="private" if is_forced else metadata.privacy,
        public_at=None if is_forced else metadata.public_at,
        made_for_kids=metadata.made_for_kids,
        parts=parts,
    )
    world.sessions[session.id] = session
    location = f"{world.public_url}{call.path}?uploadType=resumable&upload_id={session.id}"
    return Response(status_code=200, headers={"Location": location, "X-GUploader-UploadID": session.id})


async def upload(world: World, call: Call) -> Response:
    """A PUT to a session: bytes, or the question how many have come."""
    session = _session(world, call)
    if session.video_id is not None:
        return _finished(world, session)
    place = read_range(call)
    _check_size(session, place.total)
    if place.begin is None:
        return _progress(session)

    if place.begin != session.sink.received:
        raise bad_request(f"Content-Range begins at {place.begin}, but {session.sink.received} bytes are here.")
    session.sink.add(_kept(world, call))
    if session.sink.received < (session.size or 0):
        return _progress(session)
    _make_video(world, session)
    return _finished(world, session)


async def cancel(world: World, call: Call) -> Response:
    """A DELETE of a session: it is gone with what came of it; a video that it has made stays."""
    session = _session(world, call)
    del world.sessions[session.id]
    return Response(status_code=CANCELED)


def _session(world: World, call: Call) -> UploadSession:
    session = world.sessions.get(call.param("upload_id"))
    if session is None or session.is_gone(world.clock.now()):
        raise no_such_session()
    if take_fault(world, call, "lose_session"):
        del world.sessions[session.id]
        raise no_such_session()
    return session


def _check_size(session: UploadSession, total: int | None) -> None:
    if total is None:
        return
    if session.size is not None and total != session.size:
        raise bad_request(f"The total {total} is not the announced {session.size} bytes.")
    if not 0 < total <= MAX_BYTES:
        raise bad_request("The request does not include the video content.", reason="mediaBodyRequired")
    session.size = total


def _kept(world: World, call: Call) -> bytes:
    """What of a chunk is stored: all of it; whole granules where the client vanished; less where a fault says so."""
    content = call.body if call.is_whole else call.body[: len(call.body) // GRANULE * GRANULE]
    fault = take_fault(world, call, "short_range")
    return content if fault is None else content[: fault.keep_bytes]


def _progress(session: UploadSession) -> Response:
    received = session.sink.received
    headers = {"Range": f"bytes=0-{received - 1}"} if received else {}
    return Response(status_code=308, headers=headers)


def _make_video(world: World, session: UploadSession) -> None:
    content = session.sink.content
    video_id = naming.code()
    video = Publication(
        id=video_id,
        code=video_id,
        platform="youtube",
        kind="video",
        account_id=session.channel_id,
        caption=session.caption,
        title=session.title,
        media=[MediaItem(key=world.blobs.put(content, "mp4") if content is not None else None, kind="video")],
        created_at=world.clock.now(),
        public_at=session.public_at,
        digest=session.sink.digest,
        privacy=session.privacy,
        tags=session.tags,
        category=session.category,
        made_for_kids=session.made_for_kids,
    )
    video.failure = _find_failure(world, session)
    video.is_removed = video.failure is not None
    world.publish(video)
    world.polls_left[video.id] = world.knobs.polls.youtube_video
    session.video_id = video.id
    session.sink = Sink()  # its bytes are the video's now


def _find_failure(world: World, session: UploadSession) -> str | None:
    """Why nobody will ever see it, if so; reading tells when its processing has ended."""
    if not is_youtube_video(session.sink.head):
        return "invalidFile"
    if not world.knobs.youtube_rejects_duplicates:
        return None
    is_twin = any(one.digest == session.sink.digest for one in world.live_of(session.channel_id))
    return "duplicate" if is_twin else None


def _finished(world: World, session: UploadSession) -> Response:
    video = world.publications[session.video_id or ""]
    return JSONResponse(video_node(world, video, session.parts))


def _announced_size(call: Call) -> int | None:
    text = call.headers.get("x-upload-content-length")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MAX_BYTES:
        raise bad_request(f"X-Upload-Content-Length must be a number of bytes, got {text!r}.")
    return int(text)


def _check_channel(world: World, channel_id: str) -> None:
    limit = world.knobs.youtube_uploads_per_channel
    if limit is not None and len(world.live_since(channel_id, CHANNEL_WINDOW)) >= limit:
        message = "The user has exceeded the number of videos they may upload."
        raise GoogleError(400, "uploadLimitExceeded", message)
