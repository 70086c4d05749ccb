"""The sandbox as one application: three platforms, the hand on them, and the pages that show what was published."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from app.sandbox.assets import Assets
from app.sandbox.blobs import Blobs
from app.sandbox.clock import VirtualClock
from app.sandbox.control import Control
from app.sandbox.control_accounts import AccountControl
from app.sandbox.control_requests import ControlRefused, answer_refused
from app.sandbox.endpoints import Endpoint, Operation
from app.sandbox.feed import FeedPages
from app.sandbox.journal import Journal
from app.sandbox.knobs import Knobs
from app.sandbox.media import MediaFetcher
from app.sandbox.routes import OPERATIONS, STRANGERS
from app.sandbox.world import World

CLIENTS: Mapping[str, str] = {"crier-sandbox": "crier-sandbox-secret"}
"""The app that the platforms know where nothing else is said: its id and secret."""


def create_sandbox(
    *,
    public_url: str,
    journal: Path | None,
    now: Callable[[], datetime],
    clients: Mapping[str, str] = CLIENTS,
    graph_versions: Sequence[str] = ("v25.0",),
) -> Starlette:
    """Build the sandbox; `public_url` is where clients reach it, `journal` the file that outlives it.

    Kept pictures lie beside the journal, in `<its name>.media/`. Cutting connections works under uvicorn only.
    """
    world = World(
        public_url=public_url,
        clients=clients,
        clock=VirtualClock(now=now),
        journal=Journal(journal),
        blobs=Blobs(None if journal is None else journal.with_suffix(".media")),
        fetcher=MediaFetcher(),
        knobs=Knobs(graph_versions=list(graph_versions)),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await world.close()

    return Starlette(
        routes=[*_pages(world), *_control(world), *_platforms(world, (*OPERATIONS, *STRANGERS))],
        exception_handlers={ControlRefused: answer_refused},
        lifespan=lifespan,
    )


def _pages(world: World) -> list[BaseRoute]:
    feed, assets = FeedPages(world), Assets(world)
    return [
        Route("/", feed.home),
        Route("/feed", feed.fragment),
        Route("/instagram/p/{code}", feed.instagram_post),
        Route("/facebook/{page}/posts/{code}", feed.facebook_post),
        Route("/youtube/watch", feed.youtube_video),
        Route("/assets/{name}", assets.asset),
        Route("/media/{key}", assets.media),
        Route("/avatars/{id}.svg", assets.avatar),
        Route("/samples", assets.samples),
        Route("/samples/{name}", assets.sample),
    ]


def _control(world: World) -> list[BaseRoute]:
    control, accounts = Control(world, OPERATIONS), AccountControl(world)
    return [
        Route("/control/routes", control.list_routes),
        Route("/control/clock", control.show_clock),
        Route("/control/clock", control.turn_clock, methods=["POST"]),
        Route("/control/knobs", control.show_knobs),
        Route("/control/knobs", control.turn_knobs, methods=["PATCH", "POST"]),
        Route("/control/faults", control.list_faults),
        Route("/control/faults", control.arm_fault, methods=["POST"]),
        Route("/control/faults", control.disarm_faults, methods=["DELETE"]),
        Route("/control/faults/{id}", control.disarm_faults, methods=["DELETE"]),
        Route("/control/accounts", accounts.list_accounts),
        Route("/control/accounts", accounts.create_account, methods=["POST"]),
        Route("/control/tokens", accounts.end_tokens, methods=["POST"]),
        Route("/control/publications", control.list_publications),
        Route("/control/publications/count", control.count_publications),
        Route("/control/requests", control.list_requests),
        Route("/control/reset", control.reset, methods=["POST"]),
    ]


def _platforms(world: World, operations: Sequence[Operation]) -> list[BaseRoute]:
    return [Route(one.path, Endpoint(world=world, operation=one), methods=[one.method]) for one in operations]
