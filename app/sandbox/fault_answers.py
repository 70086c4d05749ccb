"""How a platform words the trouble it is in: the answers a fault can give."""

from collections.abc import Mapping

from starlette.responses import JSONResponse, PlainTextResponse, Response

from app.sandbox.faults import Fault

Wording = tuple[int, Mapping[str, object]]


def _graph(status: int, code: int, message: str, *, subcode: int | None = None, transient: bool = False) -> Wording:
    error: dict[str, object] = {
        "message": message,
        "type": "OAuthException",
        "code": code,
        "is_transient": transient,
        "fbtrace_id": "Asandboxfault",
    }
    if subcode is not None:
        error["error_subcode"] = subcode
    return status, {"error": error}


def _google(status: int, reason: str, message: str, *, domain: str = "global") -> Wording:
    detail = {"message": message, "domain": domain, "reason": reason}
    return status, {"error": {"code": status, "message": message, "errors": [detail]}}


_UNEXPECTED = "An unexpected error has occurred. Please retry your request later."

GRAPH: Mapping[str, Wording] = {
    "transient": _graph(500, 2, _UNEXPECTED, transient=True),
    "unknown": _graph(500, 1, "An unknown error occurred", transient=True),
    "too_many_requests": _graph(429, 4, "(#4) Application request limit reached", transient=True),
    "action_blocked": _graph(400, 4, "Application request limit reached", subcode=2207051),
    "user_limit": _graph(400, 17, "(#17) User request limit reached", subcode=2446079),
    "pages_limit": _graph(400, 80001, "(#80001) There have been too many calls to this Page account."),
    "instagram_limit": _graph(400, 80002, "(#80002) There have been too many calls to this Instagram account."),
    "daily_limit": _graph(400, 9, "The maximum number of posts for today is reached.", subcode=2207042),
    "restricted": _graph(400, 25, "The Instagram account is restricted.", subcode=2207050),
    "server_error": _graph(400, -1, "Instagram server error, try again.", subcode=2207001, transient=True),
    "too_fast": _graph(400, 368, "The action attempted is too fast.", subcode=1390008),
    "permission": _graph(403, 10, "(#10) Application does not have permission for this action"),
    "object_missing": _graph(400, 100, "Unsupported get request. Object does not exist.", subcode=33),
    "token_expired": _graph(401, 190, "Error validating access token: Session has expired on a day.", subcode=463),
    "token_revoked": _graph(
        400, 190, "Error validating access token: The session was invalidated by a password change.", subcode=460
    ),
}
GOOGLE: Mapping[str, Wording] = {
    "transient": _google(503, "backendError", "The service is currently unavailable."),
    "unknown": _google(500, "internalError", "Internal error encountered."),
    "too_many_requests": _google(429, "rateLimitExceeded", "Too many requests.", domain="usageLimits"),
    "rate_limited": _google(403, "rateLimitExceeded", "Rate limit exceeded.", domain="usageLimits"),
    "quota_exceeded": _google(403, "quotaExceeded", "The request exceeds your quota.", domain="youtube.quota"),
    "upload_limit": _google(400, "uploadLimitExceeded", "The user has exceeded the number of videos they may upload."),
    "permission": _google(403, "insufficientPermissions", "Request had insufficient authentication scopes."),
    "token_expired": _google(401, "authorizationRequired", "Request had invalid authentication credentials."),
    "invalid_grant": (400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}),
}
BAD_GATEWAY = "bad_gateway"
"""A proxy's page in place of the platform's JSON: status 502 unless said otherwise, for all three."""


def presets_for(route: str) -> list[str]:
    """The names that `answer_of` knows at this route; at `*`, those that every platform has words for."""
    shared = [name for name in GRAPH if name in GOOGLE]
    return [*(shared if route == "*" else _wordings(route)), BAD_GATEWAY]


def answer_of(fault: Fault, route: str) -> Response:
    """What the platform says while it suffers `fault`; without a preset, what fits the status."""
    if fault.preset == BAD_GATEWAY:
        return PlainTextResponse("<html><h1>502 Bad Gateway</h1></html>", fault.status or 502, media_type="text/html")
    status, body = _wordings(route)[fault.preset or _usual(fault.status)]
    return JSONResponse(fault.body or body, fault.status or status, headers=fault.headers)


def _wordings(route: str) -> Mapping[str, Wording]:
    return GOOGLE if route.startswith("youtube.") else GRAPH


def _usual(status: int | None) -> str:
    if status == 429:
        return "too_many_requests"
    if status in (401, 403):
        return "token_expired" if status == 401 else "permission"
    return "transient"
