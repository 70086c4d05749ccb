"""The OAuth round trips, from the page a person sees to tokens that work."""

import base64
import hashlib
import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app.sandbox.running import RunningSandbox

BACK = "http://127.0.0.1:8000/oauth/callback"
CLIENT = {"client_id": "crier-sandbox", "client_secret": "crier-sandbox-secret"}
YOUTUBE = "https://www.googleapis.com/auth/youtube"
AUTHORIZE = {
    "instagram": ("/instagram/oauth/authorize", "instagram_business_basic,instagram_business_content_publish"),
    "facebook": ("/facebook/v25.0/dialog/oauth", "pages_show_list,pages_read_engagement,pages_manage_posts"),
    "youtube": ("/youtube/o/oauth2/v2/auth", f"{YOUTUBE}.upload {YOUTUBE}.readonly"),
}


def _consent(sandbox: RunningSandbox, platform: str, decision: str = "continue", **more: str) -> httpx.Response:
    """Open the page, choose the first person on it, press the button; gives the redirect."""
    path, scope = AUTHORIZE[platform]
    asked = {
        "client_id": "crier-sandbox",
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": scope,
        "state": "s 1",
    }
    asked |= more
    page = sandbox.http.get(path, params=asked)
    if page.status_code != 200:
        return page
    subject = re.findall(r'name="subject" value="([^"]+)"', page.text)[0]
    return sandbox.http.post(path, params=asked, data={"subject": subject, "decision": decision})


def _code(answer: httpx.Response) -> str:
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def _redeem(sandbox: RunningSandbox, platform: str, code: str, **more: str) -> httpx.Response:
    asked = CLIENT | {"code": code, "redirect_uri": BACK, "grant_type": "authorization_code"} | more
    if platform == "facebook":
        return sandbox.http.get("/facebook/v25.0/oauth/access_token", params=asked)
    path = "/instagram/oauth/access_token" if platform == "instagram" else "/youtube/token"
    return sandbox.http.post(path, data=asked)


@pytest.mark.parametrize("platform", ["instagram", "facebook", "youtube"])
def test_consent_goes_back_with_code_and_state(sandbox: RunningSandbox, platform: str) -> None:
    """Only Instagram adds `#_`."""
    answer = _consent(sandbox, platform)
    location = answer.headers["location"]

    assert answer.status_code == 302
    assert location.startswith(f"{BACK}?")
    assert parse_qs(urlsplit(location).query)["state"] == ["s 1"]
    assert location.endswith("#_") == (platform == "instagram")


@pytest.mark.parametrize("platform", ["instagram", "facebook", "youtube"])
def test_cancel_goes_back_with_access_denied(sandbox: RunningSandbox, platform: str) -> None:
    """No code, the state all the same."""
    query = parse_qs(urlsplit(_consent(sandbox, platform, "cancel").headers["location"]).query)

    assert query["error"] == ["access_denied"]
    assert query["state"] == ["s 1"]
    assert "code" not in query


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "someone"},
        {"redirect_uri": "/relative"},
        {"redirect_uri": "javascript:alert(1)//x"},
        {"response_type": "token"},
        {"scope": ""},
        {"code_challenge": "abc", "code_challenge_method": "plain"},
    ],
)
def test_bad_authorize_request_is_told_on_the_page_and_goes_nowhere(
    sandbox: RunningSandbox, wrong: dict[str, str]
) -> None:
    """A stranger's redirect is never followed."""
    answer = _consent(sandbox, "youtube", **wrong)

    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize("platform", ["instagram", "facebook", "youtube"])
def test_code_is_good_once_and_for_its_app_and_address_only(sandbox: RunningSandbox, platform: str) -> None:
    """Wrong secret, wrong address, unknown code, a second use: all refused, none uses the code up."""
    code = _code(_consent(sandbox, platform))

    assert _redeem(sandbox, platform, code, client_secret="guess").status_code >= 400
    assert _redeem(sandbox, platform, code, redirect_uri=f"{BACK}/x").status_code == 400
    assert _redeem(sandbox, platform, "AQunknown").status_code == 400
    assert _redeem(sandbox, platform, code).status_code == 200
    assert _redeem(sandbox, platform, code).status_code == 400


def test_code_is_short_lived(sandbox: RunningSandbox) -> None:
    """Ten minutes by the virtual clock."""
    code = _code(_consent(sandbox, "youtube"))
    sandbox.advance(seconds=601)

    assert _redeem(sandbox, "youtube", code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("platform", ["instagram", "facebook", "youtube"])
def test_pkce_is_checked_where_a_challenge_was_sent(sandbox: RunningSandbox, platform: str) -> None:
    """The right verifier opens, a wrong one or none does not."""
    verifier = "v" * 64
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    code = _code(_consent(sandbox, platform, code_challenge=challenge, code_challenge_method="S256"))

    assert _redeem(sandbox, platform, code).status_code == 400
    assert _redeem(sandbox, platform, code, code_verifier="w" * 64).status_code == 400
    assert _redeem(sandbox, platform, code, code_verifier=verifier).status_code == 200


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_instagram_tokens_go_from_an_hour_to_sixty_days_and_on(sandbox: RunningSandbox, is_wrapped: bool) -> None:
    """Exchange, use, refresh; too young to be refreshed on the first day. Both shapes of the first answer."""
    sandbox.turn(instagram_token_in_data=is_wrapped)
    answer = _redeem(sandbox, "instagram", _code(_consent(sandbox, "instagram"))).json()
    short = answer["data"][0] if is_wrapped else answer
    exchange = {"grant_type": "ig_exchange_token", "client_secret": CLIENT["client_secret"]}
    asked = exchange | {"access_token": short["access_token"]}
    long = sandbox.http.get("/instagram/access_token", params=asked).json()
    assert long["expires_in"] == 60 * 24 * 3600
    me = _get_me(sandbox, long["access_token"])
    assert me.json()["user_id"] == short["user_id"] == "17841400000000001"
    assert me.json()["username"] == "ada.lumen"

    refresh = {"grant_type": "ig_refresh_token", "access_token": long["access_token"]}
    assert sandbox.http.get("/instagram/refresh_access_token", params=refresh).status_code == 400
    sandbox.advance(seconds=25 * 3600)
    fresh = sandbox.http.get("/instagram/refresh_access_token", params=refresh).json()
    assert _get_me(sandbox, short["access_token"]).json()["error"]["error_subcode"] == 463
    sandbox.advance(seconds=59.5 * 24 * 3600)
    assert _get_me(sandbox, long["access_token"]).json()["error"]["error_subcode"] == 463
    assert _get_me(sandbox, fresh["access_token"]).status_code == 200


def _get_me(sandbox: RunningSandbox, token: str) -> httpx.Response:
    return sandbox.http.get("/instagram/v25.0/me", params={"fields": "user_id,username", "access_token": token})


def test_facebook_pages_come_with_tokens_that_do_not_end(sandbox: RunningSandbox) -> None:
    """From a long-lived person's token; from a short one they end with it."""
    short = _redeem(sandbox, "facebook", _code(_consent(sandbox, "facebook"))).json()["access_token"]
    asked = CLIENT | {"grant_type": "fb_exchange_token", "fb_exchange_token": short}
    long = sandbox.http.get("/facebook/v25.0/oauth/access_token", params=asked).json()
    assert long["expires_in"] == 5_183_944

    brief, lasting = (_pages(sandbox, token) for token in (short, long["access_token"]))
    assert [page["name"] for page in lasting] == ["Lumen Coffee", "Lumen Roastery"]
    sandbox.advance(seconds=90 * 24 * 3600)
    posted = [_post_as(sandbox, pages[0]) for pages in (brief, lasting)]
    assert [answer.status_code for answer in posted] == [401, 200]


def _pages(sandbox: RunningSandbox, token: str) -> list[dict[str, str]]:
    asked = {"fields": "id,name,access_token", "access_token": token}
    pages: list[dict[str, str]] = sandbox.http.get("/facebook/v25.0/me/accounts", params=asked).json()["data"]
    return pages


def _post_as(sandbox: RunningSandbox, page: dict[str, str]) -> httpx.Response:
    data = {"message": "hello", "access_token": page["access_token"]}
    return sandbox.http.post(f"/facebook/v25.0/{page['id']}/feed", data=data)


def test_facebook_tells_what_was_granted(sandbox: RunningSandbox) -> None:
    """/me/permissions and /debug_token."""
    token = _redeem(sandbox, "facebook", _code(_consent(sandbox, "facebook"))).json()["access_token"]

    granted = sandbox.http.get("/facebook/v25.0/me/permissions", params={"access_token": token}).json()["data"]
    asked = {"input_token": token, "access_token": "crier-sandbox|crier-sandbox-secret"}
    told = sandbox.http.get("/facebook/v25.0/debug_token", params=asked).json()["data"]

    assert {"permission": "pages_manage_posts", "status": "granted"} in granted
    assert told["is_valid"] is True
    assert told["scopes"] == AUTHORIZE["facebook"][1].split(",")


def test_google_gives_a_refresh_token_once(sandbox: RunningSandbox) -> None:
    """Only for access_type=offline; a refresh brings access and no new refresh token; revoked is invalid_grant."""
    online = _redeem(sandbox, "youtube", _code(_consent(sandbox, "youtube"))).json()
    assert "refresh_token" not in online
    code = _code(_consent(sandbox, "youtube", access_type="offline", prompt="consent"))
    tokens = _redeem(sandbox, "youtube", code).json()
    asked = CLIENT | {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}

    sandbox.advance(seconds=3601)
    fresh = sandbox.http.post("/youtube/token", data=asked).json()

    assert fresh["expires_in"] == 3600
    assert "refresh_token" not in fresh
    channels = "/youtube/youtube/v3/channels?part=snippet&mine=true"
    statuses = [
        sandbox.http.get(channels, headers={"Authorization": f"Bearer {one['access_token']}"}).status_code
        for one in (tokens, fresh)
    ]
    assert statuses == [401, 200]
    sandbox.http.post("/control/tokens", json={"account": "UCsandboxAdaLumen0000001", "action": "revoke"})
    refused = sandbox.http.post("/youtube/token", data=asked)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_revoked_token_says_why(sandbox: RunningSandbox, instagram: Callable[..., httpx.Response]) -> None:
    """190 with the subcode asked for; a fresh token works again."""
    sandbox.http.post("/control/tokens", json={"account": "17841400000000001", "action": "revoke", "subcode": 458})

    error = instagram("GET", "me").json()["error"]

    assert (error["code"], error["error_subcode"]) == (190, 458)
    assert _get_me(sandbox, sandbox.token_for("instagram", "17841400000000001")).status_code == 200


def test_token_of_another_platform_is_refused(
    sandbox: RunningSandbox, instagram: Callable[..., httpx.Response]
) -> None:
    """As are none and an unknown one: 190."""
    other = sandbox.token_for("facebook", "110000000000001")

    for token in (other, "nonsense", ""):
        assert instagram("GET", "me", access_token=token).json()["error"]["code"] == 190
