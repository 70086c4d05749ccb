"""Connecting Facebook Pages: a person's yes opens a token for sixty days, and that one tokens of their Pages, which do
not end. Nothing here can be refreshed: a dead token means another round."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from services.domain.accounts import ConnectedProfile, Platform, Tokens
from services.providers.authorizing import grant_refused
from services.providers.base import AuthorizationFailed
from services.providers.config import PlatformConfig
from services.providers.failures import PERMISSION, RECONNECT, NotDone, not_done
from services.providers.graph import GraphClient
from services.providers.shapes import object_in, objects_in, text_in
from services.providers.wire import CALL_TIMEOUT, Wire

SCOPES = ("pages_show_list", "pages_read_engagement", "pages_manage_posts", "business_management")
NEEDED = frozenset({"pages_show_list", "pages_read_engagement", "pages_manage_posts"})
"""Without these nothing can be published; the person can decline each of them."""


class FacebookAuthorizer:
    """OAuth as Facebook has it; no PKCE there."""

    platform = Platform.FACEBOOK

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        config: PlatformConfig,
        now: Callable[[], datetime],
        timeout: timedelta = CALL_TIMEOUT,
    ) -> None:
        self._config = config
        self._root = f"{config.hosts.token}/{config.api_version}"
        self._graph = GraphClient(
            wire=Wire(http=http, timeout=timeout), root=f"{config.hosts.graph}/{config.api_version}", now=now
        )

    def authorize_url(self, *, redirect_uri: str, state: str, code_challenge: str) -> str:
        """Facebook's page that asks the person."""
        query = {
            "client_id": self._config.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "response_type": "code",
            "scope": ",".join(SCOPES),
        }
        return f"{self._config.hosts.authorize}/{self._config.api_version}/dialog/oauth?{urlencode(query)}"

    async def exchange(self, *, redirect_uri: str, code: str, code_verifier: str) -> Sequence[ConnectedProfile]:
        """Every Page that was chosen, each with a token of its own."""
        short = await self._ask_token(redirect_uri=redirect_uri, code=code)
        long = await self._ask_token(grant_type="fb_exchange_token", fb_exchange_token=short)
        granted = await self._read_permissions(long)
        pages = await self._read_pages(long)
        if not pages:
            raise AuthorizationFailed(not_done(PERMISSION, "Facebook named no Page that may be used.").failure)
        return [_profile(page, granted) for page in pages]

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Facebook has no such thing: always raises, with `RECONNECT`."""
        raise AuthorizationFailed(not_done(RECONNECT, "A Page's token cannot be refreshed.").failure)

    async def _ask_token(self, **query: str) -> str:
        app = {"client_id": self._config.client_id, "client_secret": self._config.client_secret}
        answer = await self._graph.call(
            "GET", f"{self._root}/oauth/access_token", expects=("access_token",), params={**app, **query}
        )
        if isinstance(answer, NotDone):
            raise grant_refused(answer)
        return str(answer["access_token"])

    async def _read_permissions(self, token: str) -> tuple[str, ...]:
        answer = await self._graph.get("me/permissions", token=token, expects="data")
        if isinstance(answer, NotDone):
            raise grant_refused(answer)
        granted = tuple(
            str(item.get("permission")) for item in objects_in(answer["data"]) if item.get("status") == "granted"
        )
        missing = NEEDED.difference(granted)
        if missing:
            message = f"Facebook says that these were not granted: {', '.join(sorted(missing))}."
            raise AuthorizationFailed(not_done(PERMISSION, message).failure)
        return granted

    async def _read_pages(self, token: str) -> list[Mapping[str, Any]]:
        pages: list[Mapping[str, Any]] = []
        query = {"fields": "id,name,username,picture{url},access_token", "limit": "100"}
        while True:
            answer = await self._graph.get("me/accounts", token=token, expects="data", **query)
            if isinstance(answer, NotDone):
                raise grant_refused(answer)
            pages += [page for page in objects_in(answer["data"]) if page.get("id") and page.get("access_token")]
            after = text_in(object_in(answer, "paging", "cursors").get("after"))
            if after is None or "next" not in object_in(answer, "paging"):
                return pages
            query["after"] = after


def _profile(page: Mapping[str, Any], granted: tuple[str, ...]) -> ConnectedProfile:
    name = text_in(page.get("name")) or str(page["id"])
    return ConnectedProfile(
        external_id=str(page["id"]),
        handle=text_in(page.get("username")) or name,
        display_name=name,
        avatar_url=text_in(object_in(page, "picture", "data").get("url")),
        tokens=Tokens(access=str(page["access_token"]), scopes=granted),
    )
