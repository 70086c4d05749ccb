"""`POST /{page}/video_reels` in three phases: start, bytes to the upload host, finish."""

from datetime import timedelta

from starlette.responses import JSONResponse, Response

from app.sandbox.calls import Call
from app.sandbox.facebook.pages import WRITE, enter_page
from app.sandbox.facebook.timing import Timing, check_due, settle
from app.sandbox.facebook.videos import fetch_video, forget_upload, make_video, new_upload
from app.sandbox.graph.access import check_token, check_version
from app.sandbox.graph.errors import GraphError, UploadError, bad_parameter, upload_problem
from app.sandbox.graph.parameters import moment, required
from app.sandbox.graph.uploads import header_number, take_bytes
from app.sandbox.records import Account
from app.sandbox.world import World

QUOTA_WINDOW = timedelta(days=1)


async def create_reel(world: World, call: Call) -> Response:
    """The first and the last phase; the bytes go elsewhere in between."""
    page = enter_page(world, call, scope=WRITE)
    phase = call.param("upload_phase")
    if phase == "start":
        upload = new_upload(world, page, is_reel=True, size=None)
        url = f"{world.public_url}/facebook/video-upload/{call.param('version')}/{upload.id}"
        return JSONResponse({"video_id": upload.id, "upload_url": url})
    if phase == "finish":
        return _finish(world, call, page)
    raise bad_parameter(f"Param upload_phase must be start or finish, got {phase!r}.")


async def upload_reel(world: World, call: Call) -> Response:
    """The upload host: bytes from an offset on, or a `file_url` to fetch."""
    check_version(world, call)
    token = check_token(world, call)
    upload = world.uploads.get(call.param("video"))
    if upload is None or upload.kind != "reel" or upload.page_id != token.subject:
        raise UploadError("The video does not exist.", kind="NotFoundError", status=404)
    file_url = call.headers.get("file_url")
    if file_url is not None:
        try:
            upload.sink.add(await fetch_video(world, file_url))
        except GraphError as failure:
            raise UploadError(str(failure), kind="FetchError") from failure
        upload.size = upload.sink.received
    else:
        take_bytes(upload.sink, call)
        upload.size = header_number(call, "file_size")
    upload.is_whole = upload.sink.received == upload.size
    return JSONResponse({"success": True})


def _finish(world: World, call: Call, page: Account) -> Response:
    upload = world.uploads.get(required(call, "video_id"))
    if upload is None or upload.kind != "reel" or upload.page_id != page.id:
        raise upload_problem(1363041, "The video upload session does not exist or has expired.")
    if not upload.is_whole:
        raise upload_problem(1363045, f"Only {upload.sink.received} of {upload.size} bytes are here.")
    timing = _timing(world, call)
    if timing.is_published:
        _check_quota(world, page)

    reel = make_video(world, call, upload)
    settle(world, reel, timing)
    forget_upload(world, upload)
    return JSONResponse({"success": True, "post_id": reel.alias})


def _timing(world: World, call: Call) -> Timing:
    state = required(call, "video_state")
    if state == "SCHEDULED":
        due_at = moment(call, "scheduled_publish_time")
        if due_at is None:
            raise bad_parameter("The parameter scheduled_publish_time is required.")
        check_due(due_at, world.clock.now())
        return Timing(is_published=False, due_at=due_at)
    if state not in ("PUBLISHED", "DRAFT"):
        raise bad_parameter(f"Param video_state must be PUBLISHED, SCHEDULED or DRAFT, got {state!r}.")
    return Timing(is_published=state == "PUBLISHED", due_at=None)


def _check_quota(world: World, page: Account) -> None:
    recent = world.live_since(page.id, QUOTA_WINDOW)
    if sum(one.kind == "reel" for one in recent) >= world.knobs.facebook_reels_per_day:
        raise GraphError("(#613) Calls to this api have exceeded the rate limit for reels.", 613)
