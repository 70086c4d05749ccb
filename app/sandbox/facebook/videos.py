"""`POST /{page}/videos`: in one call from a URL or bytes, or in chunks (start, transfer, finish)."""

from starlette.responses import JSONResponse, Response

from app.sandbox import naming
from app.sandbox.calls import Call
from app.sandbox.facebook.pages import WRITE, enter_page
from app.sandbox.facebook.timing import read_timing, settle
from app.sandbox.graph.errors import GraphError, bad_parameter, upload_problem
from app.sandbox.graph.parameters import required, whole_number
from app.sandbox.media import MAX_VIDEO_BYTES, FetchFailed, is_video
from app.sandbox.objects import Sink, VideoUpload
from app.sandbox.records import Account, MediaItem, Publication
from app.sandbox.world import World

CHUNK_BYTES = 1024 * 1024
TITLE_LENGTH = 254


async def create_video(world: World, call: Call) -> Response:
    """One call of either manner, told apart by `upload_phase`."""
    page = enter_page(world, call, scope=WRITE)
    phase = call.param("upload_phase")
    if phase == "":
        return await _create_at_once(world, call, page)
    if phase == "start":
        return _start(world, call, page)
    if phase == "transfer":
        return _transfer(world, call, page)
    if phase == "finish":
        return _finish(world, call, page)
    raise bad_parameter(f"Param upload_phase must be start, transfer or finish, got {phase!r}.")


def new_upload(world: World, page: Account, *, is_reel: bool, size: int | None) -> VideoUpload:
    """An upload that waits for its bytes; known by its own id and by its session's."""
    upload = VideoUpload(
        id=naming.number("14", length=15),
        page_id=page.id,
        kind="reel" if is_reel else "video",
        created_at=world.clock.now(),
        session_id=naming.number("15", length=15),
        size=size,
    )
    world.uploads[upload.id] = world.uploads[upload.session_id] = upload
    return upload


def make_video(world: World, call: Call, upload: VideoUpload) -> Publication:
    """The video that a whole upload becomes, not yet in front of anybody."""
    if not is_video(upload.sink.head):
        raise upload_problem(1363024, "The video file you selected is in a format that we don't support.")
    title = call.param("title")
    if len(title) > TITLE_LENGTH:
        raise bad_parameter(f"Param title is too long: {len(title)} of {TITLE_LENGTH} characters.")
    content = upload.sink.content
    key = world.blobs.put(content, "mp4") if content is not None else None
    polls = world.knobs.polls
    world.polls_left[upload.id] = polls.facebook_reel if upload.kind == "reel" else polls.facebook_video
    code = naming.number("12", length=15)
    return Publication(
        id=upload.id,
        platform="facebook",
        kind=upload.kind,
        account_id=upload.page_id,
        caption=call.param("description"),
        title=title,
        media=[MediaItem(key=key, kind="video")],
        created_at=upload.created_at,
        code=code,
        alias=f"{upload.page_id}_{code}",
    )


def forget_upload(world: World, upload: VideoUpload) -> None:
    """An upload that became a video is known by the video only."""
    world.uploads.pop(upload.id, None)
    world.uploads.pop(upload.session_id, None)


async def fetch_video(world: World, url: str) -> bytes:
    """The bytes behind `file_url`; raises code 6000."""
    try:
        return await world.fetcher.fetch(url, max_bytes=MAX_VIDEO_BYTES)
    except FetchFailed as failure:
        raise GraphError(f"(#6000) The video file could not be fetched: {failure}", 6000) from failure


async def _create_at_once(world: World, call: Call, page: Account) -> Response:
    timing = read_timing(world, call)
    content = call.files.get("source") or await fetch_video(world, required(call, "file_url"))
    upload = VideoUpload(
        id=naming.number("14", length=15),
        page_id=page.id,
        kind="video",
        created_at=world.clock.now(),
        session_id="",
        size=len(content),
    )
    upload.sink.add(content)
    settle(world, make_video(world, call, upload), timing)
    return JSONResponse({"id": upload.id})


def _start(world: World, call: Call, page: Account) -> Response:
    size = whole_number(call, "file_size")
    if not 0 < size <= MAX_VIDEO_BYTES:
        raise upload_problem(1363022 if size == 0 else 1363023, f"The video file has an impossible size: {size}.")
    upload = new_upload(world, page, is_reel=False, size=size)
    names = {"upload_session_id": upload.session_id, "video_id": upload.id}
    return JSONResponse(names | _next_chunk(upload.sink, size))


def _transfer(world: World, call: Call, page: Account) -> Response:
    upload = _session(world, call, page)
    wanted = _next_chunk(upload.sink, upload.size or 0)
    chunk = call.files.get("video_file_chunk")
    if chunk is None:
        raise bad_parameter("The parameter video_file_chunk is required, as a file.")
    offset = whole_number(call, "start_offset")
    if offset != upload.sink.received:
        raise upload_problem(1363037, f"start_offset {offset} is not {upload.sink.received}.", **wanted)
    if not chunk or offset + len(chunk) > (upload.size or 0):
        raise upload_problem(1363033, f"{len(chunk)} bytes at {offset} do not fit file_size {upload.size}.", **wanted)
    upload.sink.add(chunk)
    return JSONResponse(_next_chunk(upload.sink, upload.size or 0))


def _finish(world: World, call: Call, page: Account) -> Response:
    upload = _session(world, call, page)
    if upload.sink.received != upload.size:
        wanted = _next_chunk(upload.sink, upload.size or 0)
        raise upload_problem(1363045, f"Only {upload.sink.received} of {upload.size} bytes are here.", **wanted)
    timing = read_timing(world, call)
    settle(world, make_video(world, call, upload), timing)
    forget_upload(world, upload)
    return JSONResponse({"success": True})


def _session(world: World, call: Call, page: Account) -> VideoUpload:
    upload = world.uploads.get(required(call, "upload_session_id"))
    if upload is None or upload.page_id != page.id or upload.kind != "video":
        raise upload_problem(1363041, "The video upload session does not exist or has expired.")
    return upload


def _next_chunk(sink: Sink, size: int) -> dict[str, str]:
    return {"start_offset": str(sink.received), "end_offset": str(min(sink.received + CHUNK_BYTES, size))}
