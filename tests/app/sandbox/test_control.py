"""The hand on the platforms: time, knobs, usage, requests, and strictness that all platforms share."""

from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
import pytest

from app.sandbox.running import RunningSandbox

Caller = Callable[..., httpx.Response]


def _clock(sandbox: RunningSandbox) -> datetime:
    return datetime.fromisoformat(sandbox.http.get("/control/clock").json()["now"])


def test_clock_is_set_and_moved_and_goes_on(sandbox: RunningSandbox) -> None:
    """Set to a moment, moved from there, and back to real time."""
    real = _clock(sandbox)
    sandbox.http.post("/control/clock", json={"set": "2031-05-06T07:08:09Z", "advance_seconds": 60})
    moved = _clock(sandbox)
    sandbox.http.post("/control/clock", json={"reset": True})

    assert timedelta(0) <= moved - datetime.fromisoformat("2031-05-06T07:09:09+00:00") < timedelta(seconds=10)
    assert timedelta(0) <= _clock(sandbox) - real < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("clock", {"set": "2031-05-06T07:08:09"}),
        ("clock", {"forward": 5}),
        ("knobs", {"polls": {"tale": 1}}),
        ("knobs", {"read_lag": -1}),
        ("knobs", {"read_lag": "2"}),
        ("knobs", {"speed": 9}),
        ("accounts", {"platform": "myspace"}),
        ("tokens", {"account": "x", "action": "bless"}),
    ],
)
def test_order_that_does_not_fit_is_refused_and_changes_nothing(
    sandbox: RunningSandbox, path: str, order: dict[str, object]
) -> None:
    """A typo in a test must not pass in silence."""
    knobs = sandbox.http.get("/control/knobs").json()

    assert sandbox.http.post(f"/control/{path}", json=order).status_code == 422
    assert sandbox.http.get("/control/knobs").json() == knobs


def test_unknown_account_is_refused(sandbox: RunningSandbox) -> None:
    """404, for an id of another platform as well."""
    for order in ({"platform": "instagram", "id": "1"}, {"platform": "facebook", "id": "17841400000000001"}):
        assert sandbox.http.post("/control/accounts", json=order).status_code == 404


@pytest.mark.parametrize("platform", ["instagram", "facebook", "youtube"])
def test_new_account_works_at_once(sandbox: RunningSandbox, platform: str) -> None:
    """With a handle and a name of one's own, and a token that the platform knows."""
    order = {"platform": platform, "handle": "newcomer", "name": "New Comer"}
    made = sandbox.http.post("/control/accounts", json=order).json()
    headers = {"Authorization": f"Bearer {made['access_token']}"}

    me = {
        "instagram": "/instagram/v25.0/me?fields=username",
        "facebook": "/facebook/v25.0/me?fields=username",
        "youtube": "/youtube/youtube/v3/channels?part=snippet&mine=true",
    }[platform]

    assert "newcomer" in sandbox.http.get(me, headers=headers).text
    assert sandbox.http.get(f"/avatars/{made['account']['id']}.svg").text.count(">NC<") == 1


def test_usage_headers_say_what_is_set_and_at_100_calls_are_refused(
    sandbox: RunningSandbox, instagram: Caller, facebook: Caller
) -> None:
    """Application limit: 4. Business limit: 80002 on Instagram, 80001 on Pages."""
    sandbox.turn(app_usage={"call_count": 28}, business_usage={"call_count": 91})
    headers = instagram("GET", "me").headers
    assert '"call_count":28' in headers["x-app-usage"]
    assert '"type": "instagram"' in headers["x-business-use-case-usage"]
    assert '"call_count": 91' in headers["x-business-use-case-usage"]

    sandbox.turn(business_usage={"call_count": 100, "estimated_time_to_regain_access": 7})
    assert instagram("GET", "me").json()["error"]["code"] == 80002
    refused = facebook("GET", "{me}/feed")
    assert refused.json()["error"]["code"] == 80001
    assert '"estimated_time_to_regain_access": 7' in refused.headers["x-business-use-case-usage"]
    sandbox.turn(app_usage={"call_count": 100})
    assert facebook("GET", "{me}/feed").json()["error"]["code"] == 4


def test_unknown_version_is_refused_and_a_known_one_can_be_added(
    sandbox: RunningSandbox, instagram: Caller, facebook: Caller
) -> None:
    """Code 2635 on both Graph hosts."""
    for call in (instagram, facebook):
        assert call("GET", "{me}", version="v99.0").json()["error"]["code"] == 2635
    sandbox.turn(graph_versions=["v25.0", "v99.0"])
    assert instagram("GET", "me", version="v99.0").status_code == 200


def test_unknown_path_is_refused_in_the_platforms_own_shape(sandbox: RunningSandbox) -> None:
    """Graph: 2500. Google: 404."""
    assert sandbox.http.get("/instagram/a/b/c/d").json()["error"]["code"] == 2500
    assert sandbox.http.post("/facebook/v25.0/1/nothing").json()["error"]["code"] == 2500
    assert sandbox.http.get("/youtube/youtube/v3/nothing").json()["error"]["errors"][0]["reason"] == "notFound"


def test_missing_scope_is_refused(sandbox: RunningSandbox, instagram: Caller, picture: str) -> None:
    """Code 10 where Instagram's publishing was not granted."""
    order = {"platform": "instagram", "id": "17841400000000001", "scopes": ["instagram_business_basic"]}
    token = sandbox.http.post("/control/accounts", json=order).json()["access_token"]

    answer = instagram("POST", "{me}/media", image_url=picture, access_token=token)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, 10)


def test_requests_are_listed_without_secrets(sandbox: RunningSandbox, facebook: Caller) -> None:
    """Each with its route, parameters, status and the faults it met; tokens show their last letters only."""
    sandbox.arm("facebook.feed", status=500)
    facebook("POST", "{me}/feed", message="hi")
    token = sandbox.token_for("facebook", "110000000000001")
    sandbox.http.get("/facebook/v25.0/me", params={"access_token": token})

    feed, me = sandbox.http.get("/control/requests").json()

    assert (feed["route"], feed["method"], feed["status"], len(feed["faults"])) == ("facebook.feed", "POST", 500, 1)
    assert feed["params"]["message"] == "hi"
    assert me["params"]["access_token"] == f"…{token[-6:]}"
    assert sandbox.http.get("/control/requests?limit=1").json() == [me]


def test_publications_tell_how_often_the_same_was_said(sandbox: RunningSandbox, facebook: Caller) -> None:
    """Per account; the count by caption can be narrowed to a platform and an account."""
    for message in ("a", "b", "a"):
        facebook("POST", "{me}/feed", message=message)

    published = sandbox.http.get("/control/publications").json()

    assert [(one["caption"], one["count"]) for one in published] == [("a", 2), ("b", 1), ("a", 2)]
    count = "/control/publications/count"
    assert sandbox.http.get(count, params={"caption": "a", "account": "110000000000001"}).json() == {"count": 2}
    assert sandbox.http.get(count, params={"caption": "a", "platform": "instagram"}).json() == {"count": 0}
    assert sandbox.http.get(count).json() == {"count": 3}


def test_reset_forgets_all_or_keeps_accounts(sandbox: RunningSandbox, facebook: Caller) -> None:
    """With accounts kept, what is connected goes on working."""
    facebook("POST", "{me}/feed", message="old")
    sandbox.turn(read_lag=3)
    sandbox.http.post("/control/reset", json={"keep_accounts": True})
    assert sandbox.http.get("/control/publications").json() == []
    assert sandbox.http.get("/control/knobs").json()["read_lag"] == 0
    assert facebook("POST", "{me}/feed", message="new").status_code == 200

    sandbox.reset()

    assert facebook("POST", "{me}/feed", message="newer").json()["error"]["code"] == 190


def test_routes_are_listed_with_their_presets(sandbox: RunningSandbox) -> None:
    """What a fault can be armed at."""
    routes = {route["name"]: route for route in sandbox.http.get("/control/routes").json()}

    assert {"instagram.media_publish", "facebook.feed", "youtube.upload"} <= set(routes)
    assert "action_blocked" in routes["instagram.media_publish"]["presets"]
    assert "quota_exceeded" in routes["youtube.upload"]["presets"]
