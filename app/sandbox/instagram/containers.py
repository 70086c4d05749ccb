"""Making Instagram containers: `POST /{ig-user}/media`, and the upload host for those without a URL."""

from typing import cast

from starlette.responses import JSONResponse, Response

from app.sandbox import naming
from app.sandbox.calls import Call
from app.sandbox.graph.access import check_token, check_version, enter, own_account
from app.sandbox.graph.errors import UploadError, bad_parameter, instagram_error
from app.sandbox.graph.parameters import flag, id_list, required
from app.sandbox.graph.uploads import header_number, take_bytes
from app.sandbox.instagram.captions import check_caption
from app.sandbox.instagram.progress import polls_of
from app.sandbox.media import MAX_IMAGE_BYTES, MAX_VIDEO_BYTES, FetchFailed, find_picture, is_video
from app.sandbox.objects import Container, ContainerKind, Sink
from app.sandbox.records import MediaItem
from app.sandbox.world import World

SCOPE = "instagram_business_content_publish"
IMAGE_BYTES = 8 * 1024 * 1024
ASPECTS = (4 / 5, 1.91)
CHILDREN = range(2, 11)
_ASPECT_SLACK = 0.01
"""Instagram compares rounded numbers; 1080 x 1350 and 1080 x 566 are both allowed."""


async def create(world: World, call: Call) -> Response:
    """Begin a container; an image is fetched at once, a video while the container is IN_PROGRESS."""
    account = own_account(world, call, enter(world, call, scope=SCOPE))
    check_caption(call.param("caption"), max_hashtags=world.knobs.instagram_hashtags)
    kind = _kind_of(call)
    is_child = flag(call, "is_carousel_item", default=False)
    _check_place(kind, is_child=is_child)

    container = Container(
        id=naming.number("1789"),
        account_id=account.id,
        kind=kind,
        caption=call.param("caption"),
        created_at=world.clock.now(),
        polls_left=polls_of(world.knobs.polls, kind, is_child=is_child),
        is_child=is_child,
    )
    await _fill(world, call, container)

    world.containers[container.id] = container
    if container.upload is None:
        return JSONResponse({"id": container.id})
    uri = f"{world.public_url}/instagram/ig-api-upload/{call.param('version')}/{container.id}"
    return JSONResponse({"id": container.id, "uri": uri})


async def upload(world: World, call: Call) -> Response:
    """The bytes of a container made with `upload_type=resumable`, in one piece or on from an offset."""
    check_version(world, call)
    token = check_token(world, call)
    container = world.containers.get(call.param("container"))
    if container is None or container.upload is None or container.account_id != token.subject:
        raise UploadError("The container does not exist.", kind="NotFoundError", status=404)
    take_bytes(container.upload, call)

    if container.upload.received == header_number(call, "file_size"):
        _end_upload(world, container, container.upload)
    return JSONResponse({"success": True, "message": "Upload successful."})


def _end_upload(world: World, container: Container, sink: Sink) -> None:
    container.upload = None
    if not is_video(sink.head):
        container.failure = 2207026
        return
    key = world.blobs.put(sink.content, "mp4") if sink.content is not None else None
    container.media = [MediaItem(key=key, kind="video")]


def _kind_of(call: Call) -> ContainerKind:
    kind = call.param("media_type", "IMAGE").upper()
    if kind not in ("IMAGE", "VIDEO", "REELS", "STORIES", "CAROUSEL"):
        raise instagram_error(2207023, detail=f"It is {kind}.")
    return cast(ContainerKind, kind)


def _check_place(kind: ContainerKind, *, is_child: bool) -> None:
    if is_child and kind not in ("IMAGE", "VIDEO"):
        raise instagram_error(2207023, detail=f"{kind} cannot be a carousel item.")
    if kind == "VIDEO" and not is_child:
        raise instagram_error(2207023, detail="VIDEO is for carousel items only; use REELS.")


async def _fill(world: World, call: Call, container: Container) -> None:
    if container.kind == "CAROUSEL":
        container.children = _children(world, call, container)
    elif call.param("upload_type") == "resumable":
        container.upload = Sink()
    elif container.kind == "IMAGE" or (container.kind == "STORIES" and call.param("image_url")):
        container.media = [await _fetch_image(world, call, any_aspect=container.kind == "STORIES")]
    else:
        container.fetching = world.detach(_fetch_video(world, container, required(call, "video_url")))


def _children(world: World, call: Call, parent: Container) -> list[Container]:
    ids = id_list(call, "children")
    if len(ids) not in CHILDREN:
        raise instagram_error(2207028, detail=f"It has {len(ids)}.")
    children = [world.containers.get(child_id) for child_id in ids]
    found = [child for child in children if child is not None and child.account_id == parent.account_id]
    if len(found) < len(ids):
        raise instagram_error(2207006)
    if not all(child.is_child for child in found):
        raise bad_parameter("Every child must be made with is_carousel_item=true.", subcode=2207028)
    return found


async def _fetch_image(world: World, call: Call, *, any_aspect: bool) -> MediaItem:
    try:
        content = await world.fetcher.fetch(required(call, "image_url"), max_bytes=MAX_IMAGE_BYTES)
    except FetchFailed as failure:
        raise instagram_error(2207052, detail=str(failure)) from failure
    if len(content) > IMAGE_BYTES:
        raise instagram_error(2207004)
    picture = find_picture(content)
    if picture is None or picture.suffix != "jpg":
        raise instagram_error(2207005)
    lowest, highest = ASPECTS
    if not any_aspect and not lowest - _ASPECT_SLACK <= picture.aspect <= highest + _ASPECT_SLACK:
        raise instagram_error(2207009, detail=f"It is {picture.width} x {picture.height}.")
    return MediaItem(key=world.blobs.put(content, "jpg"), kind="image", alt=call.param("alt_text"))


async def _fetch_video(world: World, container: Container, url: str) -> None:
    try:
        content = await world.fetcher.fetch(url, max_bytes=MAX_VIDEO_BYTES)
    except FetchFailed:
        container.failure = 2207052
        return
    if not is_video(content):
        container.failure = 2207026
        return
    container.media = [MediaItem(key=world.blobs.put(content, "mp4"), kind="video")]
