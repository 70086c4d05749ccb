"""The way in to every YouTube call: a token, a scope, and a budget that is not used up."""

from zoneinfo import ZoneInfo

from starlette.responses import Response

from app.sandbox.calls import Call
from app.sandbox.endpoints import Handler
from app.sandbox.records import Account, Token
from app.sandbox.world import World
from app.sandbox.youtube.errors import GoogleError, unauthorized

_SCOPES = "https://www.googleapis.com/auth/"
WRITE_SCOPES = frozenset({f"{_SCOPES}youtube.upload", f"{_SCOPES}youtube", f"{_SCOPES}youtube.force-ssl"})
READ_SCOPES = frozenset({f"{_SCOPES}youtube.readonly", f"{_SCOPES}youtube", f"{_SCOPES}youtube.force-ssl"})
PACIFIC = ZoneInfo("America/Los_Angeles")
"""Google's budgets begin anew at midnight there."""


def google(handler: Handler) -> Handler:
    """A handler whose refusals have Google's shape."""

    async def answer(world: World, call: Call) -> Response:
        try:
            return await handler(world, call)
        except GoogleError as refusal:
            return refusal.response()

    return answer


def enter(world: World, call: Call, *, scopes: frozenset[str]) -> tuple[Account, Token]:
    """The channel that calls, with its token; raises what Google says."""
    token = world.tokens.get(call.bearer() or call.param("access_token"))
    if token is None or token.kind != "google_access" or token.killed_by or token.has_expired(world.clock.now()):
        raise unauthorized()
    if not scopes & set(token.scopes):
        message = "Request had insufficient authentication scopes."
        raise GoogleError(403, "insufficientPermissions", message, domain="global")
    return world.accounts[token.subject], token


def spend(world: World, token: Token, *, bucket: str, limit: int) -> None:
    """Take one of the project's budget for the Pacific day; raises 403 quotaExceeded. Bad calls cost as well."""
    day = world.clock.now().astimezone(PACIFIC).date().isoformat()
    spent = world.spent[token.client_id, bucket, day]
    if spent >= limit:
        message = "The request cannot be completed because you have exceeded your quota."
        raise GoogleError(403, "quotaExceeded", message, domain="youtube.quota")
    world.spent[token.client_id, bucket, day] = spent + 1


def parts_of(call: Call, known: frozenset[str]) -> list[str]:
    """The resource parts a call asks for; raises 400 where it asks for none or for an unknown one."""
    parts = [part.strip() for part in call.param("part").split(",") if part.strip()]
    if not parts:
        raise GoogleError(400, "missingRequiredParameter", "No filter selected: part is required.", domain="global")
    unknown = [part for part in parts if part not in known]
    if unknown:
        raise GoogleError(400, "unknownPart", f"Unknown part: {', '.join(unknown)}", domain="youtube.part")
    return parts
