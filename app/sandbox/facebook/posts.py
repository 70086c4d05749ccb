"""Posts and photos of a Page. The same post sent twice is two posts."""

from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response

from app.sandbox import naming
from app.sandbox.calls import Call
from app.sandbox.facebook.pages import WRITE, enter_page, enter_with_page_token, own_publication
from app.sandbox.facebook.reading import NODE_KIND, node_of
from app.sandbox.facebook.timing import read_timing, settle
from app.sandbox.facebook.videos import forget_upload
from app.sandbox.graph.errors import GraphError, bad_parameter
from app.sandbox.graph.lists import select
from app.sandbox.graph.parameters import attached_media, flag, required
from app.sandbox.media import MAX_IMAGE_BYTES, FetchFailed, find_picture
from app.sandbox.records import Account, MediaItem, Publication
from app.sandbox.world import World

MESSAGE_LENGTH = 63_206
PHOTO_BYTES = 10 * 1024 * 1024


async def create_post(world: World, call: Call) -> Response:
    """`POST /{page}/feed`: text, a link, or photos that were uploaded before."""
    page = enter_page(world, call, scope=WRITE)
    timing = read_timing(world, call)
    photos = _attached_photos(world, call, page)
    _check_post(call, photos)

    code = naming.number("12", length=15)
    post = Publication(
        id=f"{page.id}_{code}",
        platform="facebook",
        kind="post",
        account_id=page.id,
        caption=call.param("message"),
        link=call.param("link") or None,
        media=[item for photo in photos for item in photo.media],
        attachments=[photo.id for photo in photos],
        created_at=world.clock.now(),
        code=code,
    )
    settle(world, post, timing)
    return JSONResponse(select(call, node_of(world, post), kind=NODE_KIND, default=["id"]))


async def create_photo(world: World, call: Call) -> Response:
    """`POST /{page}/photos`: a photo of its own, or with `published=false` one to attach or publish later."""
    page = enter_page(world, call, scope=WRITE)
    timing = read_timing(world, call)
    caption = call.param("message") or call.param("caption")
    _check_message(caption)
    item = _keep_photo(world, await _photo_bytes(world, call), alt=call.param("alt_text_custom"))

    code = naming.number("12", length=15)
    photo = Publication(
        id=naming.number("13", length=15),
        platform="facebook",
        kind="photo",
        account_id=page.id,
        caption=caption,
        media=[item],
        created_at=world.clock.now(),
        code=code,
        alias=f"{page.id}_{code}",
    )
    settle(world, photo, timing)
    answer = {"id": photo.id, "post_id": photo.alias} if timing.is_published else {"id": photo.id}
    return JSONResponse(answer)


async def update(world: World, call: Call) -> Response:
    """`POST /{id}` with `is_published=true` (of videos: `published`) shows a draft; done twice it is still one post.

    `message` edits it.
    """
    token = enter_with_page_token(world, call, scope=WRITE)
    publication = own_publication(world, call, token)
    shows = flag(call, "is_published", default=flag(call, "published", default=False))
    if not shows and not call.param("message"):
        raise bad_parameter("The parameter is_published or message is required.")
    if call.param("message"):
        _check_message(call.param("message"))
        publication.caption = call.param("message")
        world.save(publication)

    if shows and publication.published_at is None:
        world.publish(publication)
    return JSONResponse({"success": True})


async def delete(world: World, call: Call) -> Response:
    """`DELETE /{id}`: a draft, a post, or a video that is still being uploaded is gone."""
    token = enter_with_page_token(world, call, scope=WRITE)
    upload = world.uploads.get(call.param("node"))
    if upload is not None and upload.page_id == token.subject:
        forget_upload(world, upload)
        return JSONResponse({"success": True})
    publication = own_publication(world, call, token)
    publication.is_removed = True
    publication.due_at = None
    world.save(publication)
    return JSONResponse({"success": True})


def _check_post(call: Call, photos: list[Publication]) -> None:
    message, link = call.param("message"), call.param("link")
    _check_message(message)
    if not message and not link and not photos:
        raise bad_parameter("You must provide a message, a link or attached_media.")
    if link and (urlsplit(link).scheme not in ("http", "https") or not urlsplit(link).netloc):
        raise bad_parameter(f"The url {link!r} you supplied is invalid.", subcode=1609005)


def _check_message(message: str) -> None:
    if len(message) > MESSAGE_LENGTH:
        raise bad_parameter(f"Param message is too long: {len(message)} of {MESSAGE_LENGTH} characters.")


def _attached_photos(world: World, call: Call, page: Account) -> list[Publication]:
    photos = []
    for photo_id in attached_media(call):
        photo = world.find_publication(photo_id)
        if photo is None or photo.kind != "photo" or photo.account_id != page.id:
            raise bad_parameter(f"attached_media: {photo_id} is not a photo of this Page.", subcode=33)
        photos.append(photo)
    return photos


async def _photo_bytes(world: World, call: Call) -> bytes:
    if "source" in call.files:
        return call.files["source"]
    try:
        return await world.fetcher.fetch(required(call, "url"), max_bytes=MAX_IMAGE_BYTES)
    except FetchFailed as failure:
        raise _bad_photo(str(failure)) from failure


def _keep_photo(world: World, content: bytes, *, alt: str) -> MediaItem:
    picture = find_picture(content)
    if picture is None:
        raise _bad_photo("It is not an image.")
    if len(content) > PHOTO_BYTES:
        raise _bad_photo(f"It is larger than {PHOTO_BYTES} bytes.")
    return MediaItem(key=world.blobs.put(content, picture.suffix), kind="image", alt=alt)


def _bad_photo(detail: str) -> GraphError:
    message = f"Your photos couldn't be uploaded. {detail}"
    return GraphError(message, 100, subcode=1366046, title="Can't Read Files")
