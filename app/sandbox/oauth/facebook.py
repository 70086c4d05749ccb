"""Facebook's tokens: a code is worth a person's token, that one 60 days, and it opens the tokens of their Pages."""

from datetime import timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from app.sandbox.calls import Call
from app.sandbox.graph.access import check_alive, check_version, enter
from app.sandbox.graph.errors import GraphError, bad_parameter, bad_token
from app.sandbox.graph.lists import select
from app.sandbox.oauth.grants import OAuthRefused, check_client, redeem
from app.sandbox.oauth.tokens import issue_token, seconds_left
from app.sandbox.permalinks import avatar_url
from app.sandbox.records import Account, Token
from app.sandbox.world import World


async def exchange(world: World, call: Call) -> Response:
    """`GET /oauth/access_token`: a code, or with `fb_exchange_token` a short-lived token for a long-lived one."""
    check_version(world, call)
    try:
        if call.param("grant_type") == "fb_exchange_token":
            return _token_answer(world, _lengthen(world, call))
        grant = redeem(world, "facebook", call)
    except OAuthRefused as refusal:
        is_client = refusal.reason == "invalid_client"
        raise GraphError(str(refusal), 1 if is_client else 100, subcode=None if is_client else 36009) from refusal
    token = issue_token(
        world, "facebook_user_short", subject=grant.subject, client_id=grant.client_id, scopes=grant.scopes
    )
    return _token_answer(world, token)


async def read_me(world: World, call: Call) -> Response:
    """`/me`: the person, or with a Page token the Page."""
    token = enter(world, call)
    if token.kind == "facebook_page":
        page = world.accounts[token.subject]
        node = {"id": page.id, "name": page.name, "username": page.handle}
    else:
        node = {"id": token.subject, "name": world.people[token.subject].name}
    return JSONResponse(select(call, node, kind="User", default=["id", "name"]))


async def list_permissions(world: World, call: Call) -> Response:
    """`/me/permissions`: what the person has granted."""
    token = _enter_person(world, call)
    return JSONResponse({"data": [{"permission": scope, "status": "granted"} for scope in token.scopes]})


async def list_accounts(world: World, call: Call) -> Response:
    """`/me/accounts`: the person's Pages, each with a token; it does not end where the person's own is long-lived."""
    token = _enter_person(world, call)
    if "pages_show_list" not in token.scopes:
        return JSONResponse({"data": []})
    pages = [account for account in world.accounts.values() if account.owner == token.subject]
    nodes = [_page_node(world, page, token) for page in pages if page.platform == "facebook"]
    default = ["access_token", "category", "name", "id", "tasks"]
    return JSONResponse({"data": [select(call, node, kind="Page", default=default) for node in nodes]})


async def debug_token(world: World, call: Call) -> Response:
    """`/debug_token`: what a token is worth, asked with any token that works or with the app's own `id|secret`."""
    check_version(world, call)
    asking = call.param("access_token")
    client_id, _, secret = asking.partition("|")
    if world.clients.get(client_id) != secret:
        enter(world, call)
    token = world.tokens.get(call.param("input_token"))
    if token is None or not token.kind.startswith("facebook"):
        return JSONResponse({"data": {"is_valid": False, "scopes": []}})
    return JSONResponse({"data": _debug_node(world, token)})


def _lengthen(world: World, call: Call) -> Token:
    client_id = check_client(world, call)
    token = world.tokens.get(call.param("fb_exchange_token"))
    if token is None or not token.kind.startswith("facebook_user"):
        raise bad_token("Cannot parse access token.")
    check_alive(world, token)
    return issue_token(world, "facebook_user_long", subject=token.subject, client_id=client_id, scopes=token.scopes)


def _token_answer(world: World, token: Token) -> Response:
    return JSONResponse({"access_token": token.value, "token_type": "bearer", "expires_in": seconds_left(world, token)})


def _enter_person(world: World, call: Call) -> Token:
    token = enter(world, call)
    if token.kind == "facebook_page":
        raise bad_parameter("Tried accessing nonexisting field on node type (Page): a person's token is required.")
    return token


def _page_node(world: World, page: Account, token: Token) -> dict[str, Any]:
    return {
        "id": page.id,
        "name": page.name,
        "username": page.handle,
        "category": "Local business",
        "tasks": ["CREATE_CONTENT", "MODERATE", "MANAGE"],
        "access_token": _page_token(world, page, token).value,
        "picture": {"data": {"url": avatar_url(world.public_url, page.id), "is_silhouette": False}},
    }


def _page_token(world: World, page: Account, token: Token) -> Token:
    lifetime: timedelta | None = None
    if token.kind == "facebook_user_short" and token.expires_at is not None:
        lifetime = token.expires_at - world.clock.now()
    return issue_token(
        world, "facebook_page", subject=page.id, client_id=token.client_id, scopes=token.scopes, lifetime=lifetime
    )


def _debug_node(world: World, token: Token) -> dict[str, Any]:
    is_valid = token.killed_by is None and not token.has_expired(world.clock.now())
    node: dict[str, Any] = {
        "app_id": token.client_id,
        "type": "PAGE" if token.kind == "facebook_page" else "USER",
        "expires_at": 0 if token.expires_at is None else int(token.expires_at.timestamp()),
        "issued_at": int(token.issued_at.timestamp()),
        "is_valid": is_valid,
        "scopes": token.scopes,
    }
    if token.kind == "facebook_page":
        return node | {"profile_id": token.subject, "user_id": world.accounts[token.subject].owner}
    return node | {"user_id": token.subject}
