"""The operators' console at /admin: a page that talks GraphQL alone, with a key that its user brings.

The page itself is no secret and the same for everybody; what it shows is what the API tells an admin's key.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.built_pages import OWN_FILES, BuiltPage
from app.graphiql import ENDPOINT

URL = "/admin"


def console_routes(*, assets: Path | None, picture_urls: Sequence[str]) -> list[BaseRoute]:
    """The page and its files. Posts' pictures are shown where they lie under one of `picture_urls`: a picture from
    anywhere else would tell its host that an operator looked."""
    origins = sorted({f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, picture_urls)})
    policy = {
        **OWN_FILES,
        "img-src": " ".join(("'self'", "data:", *origins)),
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    page = BuiltPage("console", url=URL, title="Console", assets=assets, policy=policy)
    settings = {"endpoint": ENDPOINT, "pictures": origins}

    async def show(request: Request) -> Response:
        return page.render(settings)

    return [*page.asset_routes(), Route(URL, show, methods=["GET"])]
