"""Google's tokens: an hour of access, and a refresh token that is given once and then never again."""

from starlette.responses import JSONResponse, Response

from app.sandbox.calls import Call
from app.sandbox.oauth.grants import OAuthRefused, check_client, redeem
from app.sandbox.oauth.tokens import issue_token, seconds_left
from app.sandbox.records import Token
from app.sandbox.world import World


async def token(world: World, call: Call) -> Response:
    """`POST oauth2.googleapis.com/token` with authorization_code or refresh_token."""
    try:
        if call.param("grant_type") == "authorization_code":
            return _exchange(world, call)
        if call.param("grant_type") == "refresh_token":
            return _refresh(world, call)
        raise OAuthRefused("unsupported_grant_type", f"Invalid grant_type: {call.param('grant_type')}")
    except OAuthRefused as refusal:
        status = 401 if refusal.reason == "invalid_client" else 400
        return JSONResponse({"error": refusal.reason, "error_description": str(refusal)}, status)


def _exchange(world: World, call: Call) -> Response:
    grant = redeem(world, "youtube", call)
    access = issue_token(world, "google_access", subject=grant.subject, client_id=grant.client_id, scopes=grant.scopes)
    if not grant.is_offline:
        return _answer(world, access, {})
    refresh = issue_token(
        world, "google_refresh", subject=grant.subject, client_id=grant.client_id, scopes=grant.scopes
    )
    return _answer(world, access, {"refresh_token": refresh.value})


def _refresh(world: World, call: Call) -> Response:
    client_id = check_client(world, call)
    refresh = world.tokens.get(call.param("refresh_token"))
    is_good = refresh is not None and refresh.kind == "google_refresh" and refresh.client_id == client_id
    if refresh is None or not is_good or refresh.killed_by is not None or refresh.has_expired(world.clock.now()):
        raise OAuthRefused("invalid_grant", "Token has been expired or revoked.")
    access = issue_token(world, "google_access", subject=refresh.subject, client_id=client_id, scopes=refresh.scopes)
    return _answer(world, access, {})


def _answer(world: World, access: Token, more: dict[str, str]) -> Response:
    return JSONResponse(
        {
            "access_token": access.value,
            "expires_in": seconds_left(world, access),
            "scope": " ".join(access.scopes),
            "token_type": "Bearer",
            **more,
        },
        headers={"Cache-Control": "no-store"},
    )
