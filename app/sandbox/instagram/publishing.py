"""The step that shows a container to people, and the quota before it."""

from datetime import timedelta

from starlette.responses import JSONResponse, Response

from app.sandbox import naming
from app.sandbox.calls import Call
from app.sandbox.facts import take_fault
from app.sandbox.graph.access import enter, own_account
from app.sandbox.graph.errors import instagram_error
from app.sandbox.graph.lists import select
from app.sandbox.graph.parameters import required
from app.sandbox.instagram.containers import SCOPE
from app.sandbox.instagram.progress import await_fetch, status_of
from app.sandbox.objects import Container
from app.sandbox.records import MediaItem, Publication, PublicationKind
from app.sandbox.world import World

QUOTA_WINDOW = timedelta(days=1)

_KINDS: dict[str, PublicationKind] = {"REELS": "reel", "STORIES": "story", "CAROUSEL": "carousel"}


async def media_publish(world: World, call: Call) -> Response:
    """Publish a finished container. A second call for one container publishes it a second time."""
    account = own_account(world, call, enter(world, call, scope=SCOPE))
    container = world.containers.get(required(call, "creation_id"))
    if container is None or container.account_id != account.id:
        raise instagram_error(2207006)
    if take_fault(world, call, "expire_container"):
        container.is_expired = True
    await await_fetch(container)
    _check_ready(world, container)
    if len(world.live_since(account.id, QUOTA_WINDOW)) >= world.knobs.instagram_posts_per_day:
        raise instagram_error(2207042)

    publication = _publication_of(world, container)
    world.publish(publication)
    container.is_published = True
    container.stale_reads = world.knobs.container_lag
    return JSONResponse({"id": publication.id})


async def content_publishing_limit(world: World, call: Call) -> Response:
    """How much of the rolling day's quota is used."""
    account = own_account(world, call, enter(world, call))
    used = len(world.live_since(account.id, QUOTA_WINDOW))
    total = world.knobs.instagram_posts_per_day
    node = {
        "id": account.id,
        "quota_usage": used,
        "config": {"quota_total": total, "quota_duration": int(QUOTA_WINDOW.total_seconds())},
    }
    answer = select(call, node, kind="ContentPublishingLimit", default=["quota_usage"])
    answer.pop("id")
    return JSONResponse({"data": [answer]})


def _check_ready(world: World, container: Container) -> None:
    if container.is_child:
        raise instagram_error(2207023, detail="A carousel item is published by its carousel only.")
    status = status_of(container, world.clock.now())
    if status == "EXPIRED":
        raise instagram_error(2207020)
    if status == "ERROR":
        raise instagram_error(2207032)
    if status == "IN_PROGRESS":
        raise instagram_error(2207027)


def _publication_of(world: World, container: Container) -> Publication:
    media: list[MediaItem] = list(container.media)
    for child in container.children:
        media += child.media
    return Publication(
        id=naming.number("180"),
        platform="instagram",
        kind=_KINDS.get(container.kind, "image"),
        account_id=container.account_id,
        caption=container.caption,
        media=media,
        created_at=world.clock.now(),
        code=naming.code(),
        attachments=[naming.number("179") for _ in container.children],
    )
