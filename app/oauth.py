"""Where a platform sends a person back to: `/oauth/{platform}/callback`."""

import base64
import hashlib
import html
from collections.abc import Sequence
from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from services.accounts import AccountService
from services.domain.accounts import Platform
from services.domain.errors import CATALOGUE, CrierError, ErrorCode

_log = structlog.get_logger(__name__)

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; min-height: 90vh; display: grid; place-content: center;
  background: light-dark(#f3f4f6, #111827); color: light-dark(#111827, #f3f4f6); }
main { background: light-dark(#fff, #1f2937); border-radius: 1rem; padding: 2rem 2.5rem; margin: 1rem; max-width: 26rem;
  border: 1px solid light-dark(#e5e7eb, #374151); box-shadow: 0 10px 30px rgb(0 0 0 / 8%); }
h1 { font-size: 1.3rem; margin: 0 0 .5rem; }
h1::before { content: "✓"; color: #16a34a; margin-right: .6rem; }
.failed h1::before { content: "✕"; color: #dc2626; }
p { margin: 0; color: light-dark(#4b5563, #d1d5db); }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"


def oauth_routes(accounts: AccountService) -> Sequence[BaseRoute]:
    """The one route that all platforms share."""

    async def finish(request: Request) -> Response:
        """Connect what the person said yes to, and tell them so."""
        platform = _find_platform(request.path_params["platform"])
        state, code = request.query_params.get("state"), request.query_params.get("code")
        if platform is None or not state:
            return _page("This link is not complete", "Begin again where you came from.", 400)
        if not code:
            return _page("Nothing was connected", f"{platform.label} did not give its permission.", 400)
        try:
            connected = await accounts.finish_connecting(platform, state=state, code=code)
        except CrierError as error:
            _log.info("account not connected", platform=platform.value, code=error.code.value)
            return _page("Nothing was connected", _explain(error), 503 if CATALOGUE[error.code].retryable else 400)
        names = ", ".join(account.handle for account in connected)
        return _page("Connected", f"{names} on {platform.label}. You may close this page.", 200)

    return [Route("/oauth/{platform}/callback", finish, methods=["GET"])]


def _find_platform(name: str) -> Platform | None:
    return next((platform for platform in Platform if platform.value.lower() == name), None)


def _explain(error: CrierError) -> str:
    return "Something went wrong on our side." if error.code is ErrorCode.INTERNAL else error.message


def _page(title: str, text: str, status: int) -> Response:
    content = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)} · Crier</title><style>{_STYLE}</style>"
        f"<main class={'done' if status == HTTPStatus.OK else 'failed'}>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p></main></html>"
    )
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(content, status, headers)
