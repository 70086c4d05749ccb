"""The way in to every Graph call: a known version, a token that works, a limit that is not used up, a scope."""

import json

from starlette.responses import Response

from app.sandbox.calls import Call
from app.sandbox.endpoints import Handler
from app.sandbox.graph.errors import GraphError, UploadError, bad_token, bad_version, expired_token, missing_object
from app.sandbox.records import Account, Token
from app.sandbox.world import World

KILLED = {
    458: "The user has not authorized the application.",
    459: "The user has been checkpointed and needs to log in.",
    460: "The session has been invalidated because the user changed the password.",
    464: "Sessions for the user are not allowed because the user is not a confirmed user.",
    467: "The access token has been invalidated.",
}


def graph(handler: Handler) -> Handler:
    """A handler whose refusals have the Graph API's shape, and whose answers carry the usage headers."""

    async def answer(world: World, call: Call) -> Response:
        try:
            response = await handler(world, call)
        except GraphError as refusal:
            response = refusal.response()
        _tell_usage(world, call, response)
        return response

    return answer


def upload_host(handler: Handler) -> Handler:
    """A handler of rupload.facebook.com, which has a shape of its own for refusals."""

    async def answer(world: World, call: Call) -> Response:
        try:
            return await handler(world, call)
        except UploadError as refusal:
            return refusal.response()
        except GraphError as refusal:
            return UploadError(str(refusal), kind="NotAuthorizedError", status=401).response()

    return answer


def enter(world: World, call: Call, *, scope: str | None = None) -> Token:
    """Let the call in, or raise what the Graph API says; gives the token it came with."""
    check_version(world, call)
    token = check_token(world, call)
    _check_usage(world, call)
    if scope is not None and scope not in token.scopes:
        raise GraphError(f"(#10) Application does not have permission for this action: {scope}", 10, status=403)
    return token


def check_version(world: World, call: Call) -> None:
    """Raise 2635 for a version that is not served; paths without a version pass."""
    version = call.params.get("version")
    if version is not None and version not in world.knobs.graph_versions:
        raise bad_version(version)


def check_token(world: World, call: Call) -> Token:
    """The token of the call, of this platform and alive; raises 190."""
    value = call.param("access_token") or call.bearer()
    if not value:
        raise bad_token("An access token is required to request this resource.", status=401)
    token = world.tokens.get(value)
    if token is None or not token.kind.startswith(_platform(call)):
        raise bad_token("Cannot parse access token.")
    return check_alive(world, token)


def check_alive(world: World, token: Token) -> Token:
    """The token again; raises 190 with its subcode where it was killed or has expired."""
    if token.killed_by is not None:
        raise bad_token(KILLED.get(token.killed_by, "The session is invalid."), subcode=token.killed_by)
    if token.expires_at is not None and token.has_expired(world.clock.now()):
        raise expired_token(token.expires_at)
    return token


def own_account(world: World, call: Call, token: Token) -> Account:
    """The account that the path names (`me` for the token's own); anybody else's looks missing."""
    account_id = token.subject if call.param("node") == "me" else call.param("node")
    if account_id != token.subject or account_id not in world.accounts:
        raise missing_object(call.param("node"), call.method)
    return world.accounts[account_id]


def _check_usage(world: World, call: Call) -> None:
    if world.knobs.app_usage.is_spent:
        raise GraphError("(#4) Application request limit reached", 4, status=400, is_transient=True)
    if world.knobs.business_usage.is_spent:
        code = 80002 if _platform(call) == "instagram" else 80001
        raise GraphError(f"(#{code}) There have been too many calls to this account. Wait a bit and try again.", code)


def _tell_usage(world: World, call: Call, response: Response) -> None:
    token = world.tokens.get(call.param("access_token") or call.bearer())
    response.headers["X-App-Usage"] = world.knobs.app_usage.model_dump_json()
    if token is None:
        return
    kind = "instagram" if _platform(call) == "instagram" else "pages"
    usage = {"type": kind, **world.knobs.business_usage.model_dump()}
    response.headers["X-Business-Use-Case-Usage"] = json.dumps({token.subject: [usage]})


def _platform(call: Call) -> str:
    return call.route.partition(".")[0]
