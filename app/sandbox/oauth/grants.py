"""The code between a person's yes and the tokens: bound to one app, one address and one proof key, good once."""

import base64
import hashlib
from datetime import timedelta

from app.sandbox import naming
from app.sandbox.calls import Call
from app.sandbox.objects import Grant
from app.sandbox.records import PlatformName
from app.sandbox.world import World

CODE_LIFETIME = timedelta(minutes=10)


class OAuthRefused(Exception):
    """A token request that is not granted; `reason` is in OAuth's own words, each platform dresses it its own way."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def make_grant(world: World, platform: PlatformName, *, subject: str, scopes: list[str], call: Call) -> Grant:
    """Remember a person's yes to the app that sent them."""
    grant = Grant(
        code=naming.secret("AQ"),
        platform=platform,
        subject=subject,
        client_id=call.param("client_id"),
        redirect_uri=call.param("redirect_uri"),
        scopes=scopes,
        challenge=call.param("code_challenge") or None,
        is_offline=call.param("access_type") == "offline",
        expires_at=world.clock.now() + CODE_LIFETIME,
    )
    world.grants[grant.code] = grant
    return grant


def check_client(world: World, call: Call) -> str:
    """The app's id, with the right secret; raises invalid_client."""
    client_id = call.param("client_id")
    if client_id not in world.clients or world.clients[client_id] != call.param("client_secret"):
        raise OAuthRefused("invalid_client", "Error validating client secret.")
    return client_id


def redeem(world: World, platform: PlatformName, call: Call) -> Grant:
    """Exchange a code, once; raises invalid_client or invalid_grant."""
    client_id = check_client(world, call)
    grant = world.grants.get(call.param("code"))
    if grant is None or grant.platform != platform or grant.client_id != client_id:
        raise OAuthRefused("invalid_grant", "Invalid verification code format.")
    if grant.is_used:
        raise OAuthRefused("invalid_grant", "This authorization code has been used.")
    if grant.expires_at <= world.clock.now():
        raise OAuthRefused("invalid_grant", "This authorization code has expired.")
    if grant.redirect_uri != call.param("redirect_uri"):
        message = "Error validating verification code. Please make sure your redirect_uri is identical."
        raise OAuthRefused("invalid_grant", message)
    if grant.challenge is not None and _challenge_of(call.param("code_verifier")) != grant.challenge:
        raise OAuthRefused("invalid_grant", "Invalid code verifier.")
    grant.is_used = True
    return grant


def _challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
