"""Paths that a platform does not have, refused in its own shape."""

from starlette.responses import Response

from app.sandbox.calls import Call
from app.sandbox.graph.errors import GraphError
from app.sandbox.world import World
from app.sandbox.youtube.errors import GoogleError


async def unknown_graph_path(world: World, call: Call) -> Response:
    """The Graph API's code 2500."""
    del world
    message = f"Unknown path components: {call.method} /{call.param('path')}"
    return GraphError(message, 2500, status=400).response()


async def unknown_google_path(world: World, call: Call) -> Response:
    """Google's 404."""
    del world
    return GoogleError(404, "notFound", f"Not found: {call.method} {call.path}", domain="global").response()
