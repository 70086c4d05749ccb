"""Reading from Instagram: containers, media, accounts, lists; and commenting, which changes what is read."""

from typing import Any

from starlette.responses import JSONResponse, Response

from app.sandbox import naming
from app.sandbox.calls import Call
from app.sandbox.facts import take_fault
from app.sandbox.graph.access import enter, own_account
from app.sandbox.graph.errors import missing_object
from app.sandbox.graph.lists import answer_page, graph_time, select
from app.sandbox.graph.parameters import required
from app.sandbox.instagram.progress import await_fetch, describe, poll
from app.sandbox.objects import Container
from app.sandbox.permalinks import avatar_url, media_url, permalink
from app.sandbox.records import Account, Publication
from app.sandbox.world import World

READ = "instagram_business_basic"
_TYPES = {"carousel": "CAROUSEL_ALBUM", "reel": "VIDEO"}
_PRODUCTS = {"reel": "REELS", "story": "STORY"}


async def read_me(world: World, call: Call) -> Response:
    """The account whose token it is."""
    token = enter(world, call, scope=READ)
    account = world.accounts[token.subject]
    return JSONResponse(select(call, _account_node(world, account), kind="IGUser", default=["user_id"]))


async def read(world: World, call: Call) -> Response:
    """A container, a media or the account itself, whatever the id is."""
    token = enter(world, call, scope=READ)
    node_id = call.param("node")
    container = world.containers.get(node_id)
    if container is not None and container.account_id == token.subject:
        await await_fetch(container)
        return JSONResponse(_read_container(world, call, container))
    publication = world.find_publication(node_id)
    if publication is not None and publication.account_id == token.subject and not world.is_stale(publication):
        return JSONResponse(select(call, _media_node(world, publication), kind="IGMedia", default=["id"]))
    account = own_account(world, call, token)
    return JSONResponse(select(call, _account_node(world, account), kind="IGUser", default=["user_id"]))


async def list_media(world: World, call: Call) -> Response:
    """What the account has published, latest first; stories are not among it."""
    return _answer_media(world, call, are_stories=False)


async def list_stories(world: World, call: Call) -> Response:
    """The account's stories."""
    return _answer_media(world, call, are_stories=True)


async def comment(world: World, call: Call) -> Response:
    """Comment on one's own media."""
    token = enter(world, call, scope=READ)
    publication = world.find_publication(call.param("node"))
    if publication is None or publication.account_id != token.subject:
        raise missing_object(call.param("node"), call.method)
    publication.comments.append(required(call, "message"))
    world.save(publication)
    return JSONResponse({"id": naming.number("178")})


def _answer_media(world: World, call: Call, *, are_stories: bool) -> Response:
    account = own_account(world, call, enter(world, call, scope=READ))
    seen = [
        publication
        for publication in reversed(world.live_of(account.id))
        if (publication.kind == "story") == are_stories and not world.is_stale(publication)
    ]
    return answer_page(world, call, seen, node_of=lambda one: _media_node(world, one), kind="IGMedia", default=["id"])


def _read_container(world: World, call: Call, container: Container) -> dict[str, Any]:
    if take_fault(world, call, "expire_container"):
        container.is_expired = True
    if fault := take_fault(world, call, "fail_processing"):
        container.failure = int(fault.detail or 2207026)
    status = poll(container, world.clock.now())
    node = {"id": container.id, "status_code": status, "status": describe(container, status)}
    return select(call, node, kind="IGContainer", default=["id"])


def _account_node(world: World, account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "user_id": account.id,
        "username": account.handle,
        "name": account.name,
        "account_type": "BUSINESS",
        "profile_picture_url": avatar_url(world.public_url, account.id),
        "media_count": len(world.live_of(account.id)),
    }


def _media_node(world: World, publication: Publication) -> dict[str, Any]:
    first = publication.media[0] if publication.media else None
    is_video = first is not None and first.kind == "video"
    return {
        "id": publication.id,
        "caption": publication.caption or None,
        "timestamp": graph_time(publication.published_at),
        "permalink": permalink(world.public_url, publication),
        "shortcode": publication.code,
        "media_type": _TYPES.get(publication.kind, "VIDEO" if is_video else "IMAGE"),
        "media_product_type": _PRODUCTS.get(publication.kind, "FEED"),
        "media_url": media_url(world.public_url, first),
        "alt_text": first.alt or None if first is not None else None,
        "owner": {"id": publication.account_id},
        "username": world.accounts[publication.account_id].handle,
        "children": {"data": [{"id": child} for child in publication.attachments]} if publication.attachments else None,
        "comments_count": len(publication.comments),
        "like_count": 0,
    }
