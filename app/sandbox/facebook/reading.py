"""Reading a Page: the Page itself, its posts, drafts and videos, and how far a video is."""

from typing import Any

from starlette.responses import JSONResponse, Response

from app.sandbox.calls import Call
from app.sandbox.facebook.pages import READ, enter_page, enter_with_page_token
from app.sandbox.facebook.video_status import status_node
from app.sandbox.facts import take_fault
from app.sandbox.graph.access import own_account
from app.sandbox.graph.errors import missing_object
from app.sandbox.graph.lists import answer_page, graph_time, select
from app.sandbox.permalinks import avatar_url, media_url, permalink
from app.sandbox.records import Account, Publication
from app.sandbox.world import World

NODE_KIND = "PagePost"


async def read(world: World, call: Call) -> Response:
    """A post, photo, video (also one still uploading) or the Page, whatever the id is."""
    token = enter_with_page_token(world, call, scope=READ)
    node_id = call.param("node")
    publication = world.find_publication(node_id)
    if publication is not None and publication.account_id == token.subject:
        return JSONResponse(_read_publication(world, call, publication))
    upload = world.uploads.get(node_id)
    if upload is not None and upload.page_id == token.subject:
        node = {"id": upload.id, "status": status_node(world, upload)}
        return JSONResponse(select(call, node, kind="Video", default=["id"]))
    page = own_account(world, call, token)
    return JSONResponse(select(call, _page_node(world, page), kind="Page", default=["id", "name"]))


async def list_posts(world: World, call: Call) -> Response:
    """`/feed`, `/posts` and `/published_posts`: what is published, latest first, reels left out."""
    page = enter_page(world, call, scope=READ)
    seen = [one for one in reversed(world.live_of(page.id)) if one.kind != "reel" and not world.is_stale(one)]
    return _answer(world, call, seen)


async def list_scheduled(world: World, call: Call) -> Response:
    """`/scheduled_posts`: what Facebook itself will publish."""
    page = enter_page(world, call, scope=READ)
    return _answer(world, call, [one for one in world.waiting if one.account_id == page.id])


async def list_reels(world: World, call: Call) -> Response:
    """`/video_reels`: the Page's reels."""
    page = enter_page(world, call, scope=READ)
    seen = [one for one in reversed(world.live_of(page.id)) if one.kind == "reel" and not world.is_stale(one)]
    return _answer(world, call, seen)


def node_of(world: World, publication: Publication) -> dict[str, Any]:
    """All fields of a post, photo or video."""
    first = publication.media[0] if publication.media else None
    shows = publication.published_at is not None
    return {
        "id": publication.alias or publication.id,
        "message": publication.caption or None,
        "description": publication.caption or None,
        "name": publication.caption or None,
        "title": publication.title or None,
        "created_time": graph_time(publication.published_at or publication.created_at),
        "updated_time": graph_time(publication.published_at or publication.created_at),
        "scheduled_publish_time": int(publication.due_at.timestamp()) if publication.due_at else None,
        "is_published": shows,
        "published": shows,
        "permalink_url": permalink(world.public_url, publication),
        "link": publication.link or permalink(world.public_url, publication),
        "full_picture": media_url(world.public_url, first),
        "from": {"id": publication.account_id, "name": world.accounts[publication.account_id].name},
        "post_id": publication.alias or publication.id,
        "page_story_id": publication.alias or publication.id,
        "attachments": {"data": [{"target": {"id": one}} for one in publication.attachments]}
        if publication.attachments
        else None,
        "status": None,
    }


def _read_publication(world: World, call: Call, publication: Publication) -> dict[str, Any]:
    is_stale = world.is_stale(publication)
    if is_stale and not publication.was_draft:
        raise missing_object(call.param("node"), call.method)
    if fault := take_fault(world, call, "fail_processing"):
        publication.failure = fault.detail or "processing"
        publication.is_removed = True
        world.save(publication)
    # A stale read of what was a draft sees the draft.
    seen = publication.model_copy(update={"published_at": None}) if is_stale else publication
    node = node_of(world, seen)
    if seen.kind in ("video", "reel"):
        node["status"] = status_node(world, seen)
    return select(call, node | {"id": call.param("node")}, kind=NODE_KIND, default=["id", "message", "created_time"])


def _answer(world: World, call: Call, publications: list[Publication]) -> Response:
    return answer_page(
        world,
        call,
        publications,
        node_of=lambda one: node_of(world, one),
        kind=NODE_KIND,
        default=["id", "message", "created_time"],
    )


def _page_node(world: World, page: Account) -> dict[str, Any]:
    return {
        "id": page.id,
        "name": page.name,
        "username": page.handle,
        "link": f"{world.public_url}/#facebook",
        "picture": {"data": {"url": avatar_url(world.public_url, page.id), "is_silhouette": False}},
    }
