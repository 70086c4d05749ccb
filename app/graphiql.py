"""GraphiQL at /graphql: the page that a browser gets, and the assets it loads, all from Crier itself."""

import html
import json
from ipaddress import ip_address
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.assets import PAGES

ENDPOINT = "/graphql"
ASSETS_URL = f"{ENDPOINT}/assets"

# Monaco writes its styles into the page, hence 'unsafe-inline' for them; scripts and workers come from our files alone.
PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "font-src 'self' data:",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


class GraphiQL:
    """The page and its assets.

    `assets` is the folder that `build_assets` gave, None where it was not built: the page then says how. `token` is
    already in the page's headers, but only for a browser on this machine: give it on development runs alone.
    """

    def __init__(self, *, assets: Path | None, token: str | None) -> None:
        self._assets = assets
        self._token = token
        self._page = Template((PAGES / "graphiql.html").read_text())
        self._examples = read_examples(PAGES / "examples")

    def routes(self) -> list[BaseRoute]:
        """Where the page's scripts, workers, styles and fonts are."""
        if self._assets is None:
            return []
        return [Mount(f"{ASSETS_URL}/{self._assets.name}", ImmutableFiles(directory=self._assets), name="assets")]

    def page(self, request: Request) -> Response:
        """The page, for a GET of the endpoint by which `wants_page`."""
        settings = {
            "endpoint": ENDPOINT,
            "token": self._token if is_from_this_machine(request) else None,
            "examples": self._examples,
        }
        content = self._page.substitute(
            assets=f"{ASSETS_URL}/{self._assets.name if self._assets else 'missing'}",
            note=html.escape("Loading GraphiQL …" if self._assets else _NOT_BUILT),
            settings=json.dumps(settings).replace("<", "\\u003c"),  # so that nothing in it can end the element
        )
        headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store", "Vary": "Accept"}
        return HTMLResponse(content, headers=headers)


_NOT_BUILT = "GraphiQL is not built here. Run `python -m app.assets` once (it needs npm), then start Crier again."


def wants_page(request: Request) -> bool:
    """Whether this is a person's browser opening the endpoint, not a program asking it."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def is_from_this_machine(request: Request) -> bool:
    """Whether a browser on this machine asks, by a name that is this machine's own.

    The name matters as much as the address: a page elsewhere can point a name of its own at 127.0.0.1 and read what a
    browser here then fetches.
    """
    return request.client is not None and _is_loopback(request.client.host) and _is_loopback(request.url.hostname)


def read_examples(folder: Path) -> list[dict[str, str | None]]:
    """The example queries in the order of their file names; `<name>.json` holds the variables of `<name>.graphql`."""
    return [
        {"query": query.read_text(), "variables": _text_of(query.with_suffix(".json"))}
        for query in sorted(folder.glob("*.graphql"))
    ]


class ImmutableFiles(StaticFiles):
    """Files whose address names their state: a browser never asks for them twice."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept for a year."""
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
            response.headers["Content-Security-Policy"] = PAGE_POLICY  # a worker goes by its own script's
        return response


def _text_of(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return host is not None and ip_address(host).is_loopback
    except ValueError:
        return False
