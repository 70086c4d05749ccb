"""Pages whose scripts and styles `app.assets` built: one shape for GraphiQL, the console and the reference.

All come from one template: a page's name, its assets, what is read until they have loaded, and what its script is told.
Its policy lets nothing in but its own files; what a page needs besides, it says.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template

from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.assets import PAGES

OWN_FILES: Mapping[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""The policy of a page that loads its own files and talks to its own server."""


class BuiltPage:
    """One page at `url`, whose script and style are `name`.js and .css in the assets' folder of the same name.

    `assets` is the folder that `build_assets` gave, None where nothing was built: the page then says how to.
    """

    def __init__(self, name: str, *, url: str, title: str, assets: Path | None, policy: Mapping[str, str]) -> None:
        self._name = name
        self._title = title
        self._assets = None if assets is None else assets / name
        self._assets_url = f"{url}/assets/{assets.name if assets else 'missing'}"
        self._policy = "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
        self._note = "Loading …" if assets else _NOT_BUILT

    def asset_routes(self) -> list[BaseRoute]:
        """Where the page's scripts, workers, styles and fonts are."""
        if self._assets is None:
            return []
        return [Mount(self._assets_url, ImmutableFiles(self._assets, policy=self._policy))]

    def render(self, settings: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Response:
        """The page; nothing in `settings` can end the element that it stands in."""
        content = _TEMPLATE.substitute(
            name=self._name,
            title=self._title,
            assets=self._assets_url,
            note=self._note,
            settings=json.dumps(settings).replace("<", "\\u003c"),
        )
        usual = {"Content-Security-Policy": self._policy, "Cache-Control": "no-store"}
        return HTMLResponse(content, headers={**usual, **(headers or {})})


_TEMPLATE = Template((PAGES / "page.html").read_text())
_NOT_BUILT = "This page is not built here. Run `python -m app.assets` once (it needs npm), then start Crier again."


class ImmutableFiles(StaticFiles):
    """Files whose address names their state: a browser never asks for them twice."""

    def __init__(self, folder: Path, *, policy: str) -> None:
        super().__init__(directory=folder)
        self._policy = policy

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept for a year."""
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
            response.headers["Content-Security-Policy"] = self._policy  # a worker goes by its own script's
        return response
