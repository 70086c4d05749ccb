"""Connecting Instagram accounts (Instagram Login): a code, an hour, sixty days, and sixty more whenever asked."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from services.domain.accounts import ConnectedProfile, Platform, Tokens
from services.providers.authorizing import dated_tokens, grant_refused, refresh_refused
from services.providers.config import PlatformConfig
from services.providers.failures import RETRY, NotDone, not_done
from services.providers.graph import GraphClient
from services.providers.shapes import objects_in, text_in
from services.providers.wire import CALL_TIMEOUT, Wire

SCOPES = ("instagram_business_basic", "instagram_business_content_publish")


class InstagramAuthorizer:
    """OAuth as Instagram has it; no PKCE there."""

    platform = Platform.INSTAGRAM

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        config: PlatformConfig,
        now: Callable[[], datetime],
        timeout: timedelta = CALL_TIMEOUT,
    ) -> None:
        self._config = config
        self._graph = GraphClient(
            wire=Wire(http=http, timeout=timeout), root=f"{config.hosts.graph}/{config.api_version}", now=now
        )
        self._now = now

    def authorize_url(self, *, redirect_uri: str, state: str, code_challenge: str) -> str:
        """Instagram's page that asks the person."""
        query = {
            "client_id": self._config.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": ",".join(SCOPES),
            "state": state,
        }
        return f"{self._config.hosts.authorize}/oauth/authorize?{urlencode(query)}"

    async def exchange(
        self,
        *,
        redirect_uri: str,
        code: str,
        code_verifier: str,
    ) -> Sequence[ConnectedProfile]:
        """The one account that was chosen, with a token for sixty days."""
        short = await self._redeem(redirect_uri, code.removesuffix("#_"))
        long = await self._graph.call(
            "GET",
            f"{self._config.hosts.graph}/access_token",
            expects=("access_token",),
            params={
                "grant_type": "ig_exchange_token",
                "client_secret": self._config.client_secret,
                "access_token": short["access_token"],
            },
        )
        if isinstance(long, NotDone):
            raise grant_refused(long)
        return [await self._read_profile(dated_tokens({**short, **long}, now=self._now()))]

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Sixty more days, for a token that is at least a day old and has not ended."""
        fresh = await self._graph.call(
            "GET",
            f"{self._config.hosts.graph}/refresh_access_token",
            expects=("access_token",),
            params={"grant_type": "ig_refresh_token", "access_token": tokens.access},
        )
        if isinstance(fresh, NotDone):
            raise refresh_refused(fresh)
        return dated_tokens({"permissions": list(tokens.scopes), **fresh}, now=self._now())

    async def _redeem(self, redirect_uri: str, code: str) -> Mapping[str, Any]:
        answer = await self._graph.call(
            "POST",
            f"{self._config.hosts.token}/oauth/access_token",
            expects=("access_token", "data"),
            form={
                "client_id": self._config.client_id,
                "client_secret": self._config.client_secret,
                "grant_type": "authorization_code",
                "redirect_uri": redirect_uri,
                "code": code,
            },
        )
        if isinstance(answer, NotDone):
            raise grant_refused(answer)
        # Older documents show the answer flat, newer ones inside a list.
        found = next((one for one in (answer, *objects_in(answer.get("data"))) if one.get("access_token")), None)
        if found is None:
            raise grant_refused(not_done(RETRY, "Instagram answered without an access token."))
        return found

    async def _read_profile(self, tokens: Tokens) -> ConnectedProfile:
        me = await self._graph.get(
            "me", token=tokens.access, expects="user_id", fields="user_id,username,name,profile_picture_url"
        )
        if isinstance(me, NotDone):
            raise grant_refused(me)
        handle = text_in(me.get("username")) or str(me["user_id"])
        return ConnectedProfile(
            external_id=str(me["user_id"]),
            handle=handle,
            display_name=text_in(me.get("name")) or handle,
            avatar_url=text_in(me.get("profile_picture_url")),
            tokens=tokens,
        )
