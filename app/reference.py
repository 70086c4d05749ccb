"""The description of the REST endpoints, and Swagger UI to read it and try them out in.

The description is told to everybody: it says nothing that the repository does not. The page that sends requests is for
developers, like GraphiQL, and absent in production.
"""

from pathlib import Path

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.built_pages import OWN_FILES, BuiltPage
from app.openapi import DESCRIPTION_URL, describe_api

PAGE_URL = "/api/v1/docs"


def reference_routes(*, version: str, assets: Path | None, has_page: bool) -> list[BaseRoute]:
    """`/api/v1/openapi.json`, and with `has_page` `/api/v1/docs`."""
    description = orjson.dumps(describe_api(version))

    async def describe(request: Request) -> Response:
        return Response(description, media_type="application/json", headers={"Cache-Control": "no-cache"})

    routes: list[BaseRoute] = [Route(DESCRIPTION_URL, describe, methods=["GET"])]
    return [*routes, *(_page_routes(assets) if has_page else ())]


def _page_routes(assets: Path | None) -> list[BaseRoute]:
    page = BuiltPage("reference", url=PAGE_URL, title="REST", assets=assets, policy=OWN_FILES)

    async def show(request: Request) -> Response:
        return page.render({"description": DESCRIPTION_URL})

    return [*page.asset_routes(), Route(PAGE_URL, show, methods=["GET"])]
