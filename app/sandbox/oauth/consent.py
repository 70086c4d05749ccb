"""The page where a person is asked: who they are, and whether the app may. One shape, in each platform's dress."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.sandbox.calls import Call
from app.sandbox.html import Html, page, render
from app.sandbox.oauth.grants import make_grant
from app.sandbox.permalinks import avatar_url
from app.sandbox.records import PlatformName
from app.sandbox.world import World

PLATFORM_NAMES: dict[PlatformName, str] = {"instagram": "Instagram", "facebook": "Facebook", "youtube": "Google"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Somebody one can be at the consent page: an account, or on Facebook a person with their Pages."""

    subject: str
    name: str
    detail: str
    picture: str


async def ask_instagram(world: World, call: Call) -> Response:
    """`www.instagram.com/oauth/authorize`."""
    return _ask(world, call, "instagram")


async def answer_instagram(world: World, call: Call) -> Response:
    """The person's answer on Instagram's page."""
    return _take_answer(world, call, "instagram", suffix="#_")


async def ask_facebook(world: World, call: Call) -> Response:
    """`www.facebook.com/v{N}/dialog/oauth`."""
    return _ask(world, call, "facebook")


async def answer_facebook(world: World, call: Call) -> Response:
    """The person's answer on Facebook's page."""
    return _take_answer(world, call, "facebook")


async def ask_google(world: World, call: Call) -> Response:
    """`accounts.google.com/o/oauth2/v2/auth`."""
    return _ask(world, call, "youtube")


async def answer_google(world: World, call: Call) -> Response:
    """The person's answer on Google's page."""
    return _take_answer(world, call, "youtube")


def _ask(world: World, call: Call, platform: PlatformName) -> Response:
    problem = _find_problem(world, call)
    if problem is not None:
        return _refuse(platform, problem)
    choices = [
        render(
            "choice",
            subject=choice.subject,
            name=choice.name,
            detail=choice.detail,
            picture=choice.picture,
            checked=Html("checked") if index == 0 else "",
        )
        for index, choice in enumerate(_choices(world, platform))
    ]
    body = render(
        "consent",
        platform=PLATFORM_NAMES[platform],
        kind=platform,
        app=call.param("client_id"),
        choices=Html("".join(choices)),
        scopes=Html("".join(render("scope", scope=scope) for scope in _scopes(call))),
    )
    return HTMLResponse(page(title=f"{PLATFORM_NAMES[platform]}: allow access?", body=body, kind="consent"))


def _take_answer(world: World, call: Call, platform: PlatformName, *, suffix: str = "") -> Response:
    problem = _find_problem(world, call)
    if problem is not None:
        return _refuse(platform, problem)
    known = {choice.subject for choice in _choices(world, platform)}
    if call.param("decision") != "continue":
        return _redirect(call, {"error": "access_denied", "error_reason": "user_denied"})
    if call.param("subject") not in known:
        return _refuse(platform, "Nobody was chosen.")
    grant = make_grant(world, platform, subject=call.param("subject"), scopes=_scopes(call), call=call)
    return _redirect(call, {"code": grant.code}, suffix=suffix)


def _find_problem(world: World, call: Call) -> str | None:
    if call.param("client_id") not in world.clients:
        return f"No app has the client_id {call.param('client_id')!r}."
    redirect = urlsplit(call.param("redirect_uri"))
    if redirect.scheme not in ("http", "https") or not redirect.netloc or redirect.fragment:
        return f"The redirect_uri {call.param('redirect_uri')!r} is not an absolute http(s) address."
    if call.param("response_type", "code") != "code":
        return f"The response_type {call.param('response_type')!r} is not supported."
    if "version" in call.params and call.param("version") not in world.knobs.graph_versions:
        return f"The version {call.param('version')} is not served."
    if call.param("code_challenge") and call.param("code_challenge_method") != "S256":
        return "A code_challenge needs the code_challenge_method S256."
    return None if _scopes(call) else "No scope was asked for."


def _refuse(platform: PlatformName, problem: str) -> Response:
    body = render("refused", platform=PLATFORM_NAMES[platform], kind=platform, problem=problem)
    return HTMLResponse(page(title="This cannot be", body=body, kind="consent"), 400)


def _redirect(call: Call, answer: dict[str, str], *, suffix: str = "") -> Response:
    if call.param("state"):
        answer = answer | {"state": call.param("state")}
    address = call.param("redirect_uri")
    joint = "&" if urlsplit(address).query else "?"
    return RedirectResponse(f"{address}{joint}{urlencode(answer)}{suffix}", 302)


def _scopes(call: Call) -> list[str]:
    return call.param("scope").replace(",", " ").split()


def _choices(world: World, platform: PlatformName) -> Sequence[Choice]:
    accounts = [account for account in world.accounts.values() if account.platform == platform]
    if platform != "facebook":
        return [Choice(one.id, one.name, f"@{one.handle}", avatar_url(world.public_url, one.id)) for one in accounts]
    pages = {
        person.id: [account.name for account in accounts if account.owner == person.id]
        for person in world.people.values()
    }
    return [
        Choice(person.id, person.name, ", ".join(pages[person.id]), avatar_url(world.public_url, person.id))
        for person in world.people.values()
        if pages[person.id]
    ]
