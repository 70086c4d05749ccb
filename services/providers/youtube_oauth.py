"""Connecting YouTube channels: a code and its proof key are worth an hour, and a refresh token that is given once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from services.domain.accounts import ConnectedProfile, Platform, Tokens
from services.providers.authorizing import dated_tokens, grant_refused, refresh_refused
from services.providers.base import AuthorizationFailed
from services.providers.config import PlatformConfig
from services.providers.failures import PERMISSION, RECONNECT, RETRY, NotDone, not_done
from services.providers.shapes import object_in, objects_in, text_in
from services.providers.wire import CALL_TIMEOUT, Wire
from services.providers.youtube_rules import refusal_of

SCOPES = (
    "https://www.googleapis.com/auth/youtube.upload",
    "https://www.googleapis.com/auth/youtube.readonly",
)


class YouTubeAuthorizer:
    """OAuth as Google has it, with PKCE."""

    platform = Platform.YOUTUBE

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        config: PlatformConfig,
        now: Callable[[], datetime],
        timeout: timedelta = CALL_TIMEOUT,
    ) -> None:
        self._config = config
        self._wire = Wire(http=http, timeout=timeout)
        self._now = now

    def authorize_url(self, *, redirect_uri: str, state: str, code_challenge: str) -> str:
        """Google's page that asks the person; without `prompt=consent` a second round gives no refresh token."""
        query = {
            "client_id": self._config.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": " ".join(SCOPES),
            "state": state,
            "access_type": "offline",
            "prompt": "consent",
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._config.hosts.authorize}/o/oauth2/v2/auth?{urlencode(query)}"

    async def exchange(self, *, redirect_uri: str, code: str, code_verifier: str) -> Sequence[ConnectedProfile]:
        """The channel of the Google account that said yes."""
        answer = await self._ask_token(
            {
                "grant_type": "authorization_code",
                "redirect_uri": redirect_uri,
                "code": code,
                "code_verifier": code_verifier,
            }
        )
        if isinstance(answer, NotDone):
            raise grant_refused(answer)
        return [await self._read_profile(dated_tokens(answer, now=self._now()))]

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Another hour; Google names no new refresh token, so the old one stays."""
        if tokens.refresh is None:
            raise AuthorizationFailed(not_done(RECONNECT, "Google gave no refresh token.").failure)
        answer = await self._ask_token({"grant_type": "refresh_token", "refresh_token": tokens.refresh})
        if isinstance(answer, NotDone):
            raise refresh_refused(answer)
        return dated_tokens({"scope": list(tokens.scopes), **answer}, now=self._now(), refresh=tokens.refresh)

    async def _ask_token(self, grant: Mapping[str, str]) -> Mapping[str, Any] | NotDone:
        app = {"client_id": self._config.client_id, "client_secret": self._config.client_secret}
        reply = await self._wire.send("POST", f"{self._config.hosts.token}/token", form={**app, **grant})
        if isinstance(reply, NotDone):
            return reply
        if not reply.is_success:
            secrets = (self._config.client_secret, *grant.values())
            return refusal_of(reply, now=self._now(), secrets=secrets)
        if not reply.data.get("access_token"):
            return not_done(RETRY, "Google answered without an access token.")
        return reply.data

    async def _read_profile(self, tokens: Tokens) -> ConnectedProfile:
        reply = await self._wire.send(
            "GET",
            f"{self._config.hosts.graph}/youtube/{self._config.api_version}/channels",
            headers={"Authorization": f"Bearer {tokens.access}"},
            params={"part": "snippet", "mine": "true"},
        )
        if isinstance(reply, NotDone):
            raise grant_refused(reply)
        if not reply.is_success:
            raise grant_refused(refusal_of(reply, now=self._now(), secrets=(tokens.access,)))
        channels = [one for one in objects_in(reply.data.get("items")) if one.get("id")]
        if not channels:
            raise AuthorizationFailed(not_done(PERMISSION, "This Google account has no YouTube channel.").failure)
        return _profile(channels[0], tokens)


def _profile(channel: Mapping[str, Any], tokens: Tokens) -> ConnectedProfile:
    snippet = object_in(channel, "snippet")
    title = text_in(snippet.get("title")) or str(channel["id"])
    return ConnectedProfile(
        external_id=str(channel["id"]),
        handle=(text_in(snippet.get("customUrl")) or title).removeprefix("@"),
        display_name=title,
        avatar_url=text_in(object_in(snippet, "thumbnails", "default").get("url")),
        tokens=tokens,
    )
