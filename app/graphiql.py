"""GraphiQL at /graphql: the page that a browser gets, and the assets it loads, all from Crier itself."""

from ipaddress import ip_address
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.assets import PAGES
from app.built_pages import OWN_FILES, BuiltPage

ENDPOINT = "/graphql"

_POLICY = {
    **OWN_FILES,
    "worker-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # Monaco writes its styles into the page
    "font-src": "'self' data:",
}


class GraphiQL:
    """The page and its assets.

    `token` is already in the page's headers, but only for a browser on this machine: give it on development runs alone.
    """

    def __init__(self, *, assets: Path | None, token: str | None) -> None:
        self._token = token
        self._page = BuiltPage("graphiql", url=ENDPOINT, title="GraphiQL", assets=assets, policy=_POLICY)
        self._examples = read_examples(PAGES / "examples")

    def routes(self) -> list[BaseRoute]:
        """Where the page's scripts, workers, styles and fonts are."""
        return self._page.asset_routes()

    def page(self, request: Request) -> Response:
        """The page, for a GET of the endpoint by which `wants_page`."""
        settings = {
            "endpoint": ENDPOINT,
            "token": self._token if is_from_this_machine(request) else None,
            "examples": self._examples,
        }
        return self._page.render(settings, {"Vary": "Accept"})


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


def _text_of(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return host is not None and ip_address(host).is_loopback
    except ValueError:
        return False
