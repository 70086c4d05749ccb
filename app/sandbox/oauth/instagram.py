"""Instagram's tokens: a code is worth an hour, that is worth 60 days, and those can be had again and again."""

from datetime import timedelta

from starlette.responses import JSONResponse, Response

from app.sandbox.calls import Call
from app.sandbox.graph.access import check_token
from app.sandbox.graph.errors import GraphError, bad_parameter
from app.sandbox.oauth.grants import OAuthRefused, redeem
from app.sandbox.oauth.tokens import issue_token, seconds_left
from app.sandbox.records import Token
from app.sandbox.world import World

REFRESH_AGE = timedelta(hours=24)


async def exchange_code(world: World, call: Call) -> Response:
    """`POST api.instagram.com/oauth/access_token`: a code for a token of one hour."""
    try:
        if call.param("grant_type") != "authorization_code":
            raise OAuthRefused("unsupported_grant_type", "Invalid grant_type.")
        grant = redeem(world, "instagram", call)
    except OAuthRefused as refusal:
        body = {"error_type": "OAuthException", "code": 400, "error_message": str(refusal)}
        return JSONResponse(body, 400)
    token = issue_token(world, "instagram_short", subject=grant.subject, client_id=grant.client_id, scopes=grant.scopes)
    answer = {"access_token": token.value, "user_id": token.subject, "permissions": ",".join(token.scopes)}
    return JSONResponse({"data": [answer]} if world.knobs.instagram_token_in_data else answer)


async def exchange_short(world: World, call: Call) -> Response:
    """`GET graph.instagram.com/access_token`: an hour for 60 days."""
    token = check_token(world, call)
    if call.param("grant_type") != "ig_exchange_token" or token.kind != "instagram_short":
        raise bad_parameter("Only a short-lived token can be exchanged, with grant_type ig_exchange_token.")
    if world.clients.get(token.client_id) != call.param("client_secret"):
        raise GraphError("Error validating client secret.", 1)
    return _long(world, token)


async def refresh(world: World, call: Call) -> Response:
    """`GET graph.instagram.com/refresh_access_token`: 60 more days, for a token that is at least a day old."""
    token = check_token(world, call)
    if call.param("grant_type") != "ig_refresh_token" or token.kind != "instagram_long":
        raise bad_parameter("Only a long-lived token can be refreshed, with grant_type ig_refresh_token.")
    if world.clock.now() - token.issued_at < REFRESH_AGE:
        raise bad_parameter("The token must be at least 24 hours old to be refreshed.")
    return _long(world, token)


def _long(world: World, token: Token) -> Response:
    fresh = issue_token(world, "instagram_long", subject=token.subject, client_id=token.client_id, scopes=token.scopes)
    return JSONResponse(
        {
            "access_token": fresh.value,
            "token_type": "bearer",
            "expires_in": seconds_left(world, fresh),
            "permissions": ",".join(fresh.scopes),
        }
    )
