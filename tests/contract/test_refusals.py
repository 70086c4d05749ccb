"""Each way a platform says no, told by its code, its words and what helps; and never a token in any of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.sandbox.running import RunningSandbox
from services.domain.errors import ErrorCode
from services.domain.publishing import Failure, FailureKind, Published, Rejected
from tests.contract.conftest import Driving
from tests.contract.driver import Drive
from tests.contract.shapes import ACCOUNTS, SHAPES, with_media

Shown = Callable[[], list[dict[str, Any]]]


async def _refused(drive: Drive) -> Failure:
    outcome = await drive.run()
    assert isinstance(outcome, Rejected), outcome
    return outcome.failure


@pytest.mark.parametrize(
    ("name", "route", "preset", "kind", "code", "platform_code"),
    [
        ("instagram_image", "instagram.media", "too_many_requests", "WAIT", "RATE_LIMITED", "4"),
        ("instagram_image", "instagram.media", "user_limit", "WAIT", "RATE_LIMITED", "17/2446079"),
        ("instagram_image", "instagram.media", "instagram_limit", "WAIT", "RATE_LIMITED", "80002"),
        ("instagram_image", "instagram.media_publish", "action_blocked", "WAIT", "RATE_LIMITED", "4/2207051"),
        ("instagram_image", "instagram.media", "restricted", "PERMISSION", "PERMISSION_DENIED", "25/2207050"),
        ("instagram_image", "instagram.media", "token_expired", "RECONNECT", "RECONNECT_REQUIRED", "190/463"),
        ("instagram_image", "instagram.media_publish", "token_revoked", "RECONNECT", "RECONNECT_REQUIRED", "190/460"),
        ("instagram_image", "instagram.media", "permission", "PERMISSION", "PERMISSION_DENIED", "10"),
        ("instagram_image", "instagram.media", "object_missing", "PERMISSION", "PERMISSION_DENIED", "100/33"),
        ("facebook_text", "facebook.feed", "pages_limit", "WAIT", "RATE_LIMITED", "80001"),
        ("facebook_text", "facebook.update", "too_fast", "WAIT", "RATE_LIMITED", "368/1390008"),
        ("facebook_text", "facebook.update", "token_revoked", "RECONNECT", "RECONNECT_REQUIRED", "190/460"),
        ("youtube_short", "youtube.insert", "quota_exceeded", "WAIT", "RATE_LIMITED", "quotaExceeded"),
        ("youtube_short", "youtube.insert", "rate_limited", "WAIT", "RATE_LIMITED", "rateLimitExceeded"),
        ("youtube_short", "youtube.insert", "upload_limit", "WAIT", "RATE_LIMITED", "uploadLimitExceeded"),
        ("youtube_short", "youtube.insert", "permission", "PERMISSION", "PERMISSION_DENIED", "insufficientPermissions"),
        (
            "youtube_short",
            "youtube.upload",
            "token_expired",
            "RECONNECT",
            "RECONNECT_REQUIRED",
            "authorizationRequired",
        ),
    ],
)
async def test_refusal_is_told_by_code_and_by_what_helps(
    *,
    name: str,
    route: str,
    preset: str,
    kind: str,
    code: str,
    platform_code: str,
    driving: Driving,
    shown: Shown,
    sandbox: RunningSandbox,
) -> None:
    """Nothing is out, the platform's own code is kept, and once the trouble is over the same checkpoint goes out."""
    drive = driving(name)
    sandbox.arm(route, preset=preset)

    failure = await _refused(drive)

    assert (failure.kind, failure.code, failure.platform_code) == (kind, code, platform_code)
    assert failure.message
    assert (failure.retry_after is not None) == (kind == "WAIT")
    assert shown() == []
    assert isinstance(await drive.run(), Published)


@pytest.mark.parametrize("name", ["instagram_image", "facebook_text", "youtube_short"])
@pytest.mark.parametrize("told", ["120", "Mon, 01 Jan 2035 00:00:00 GMT"])
async def test_retry_after_is_obeyed(name: str, told: str, driving: Driving, sandbox: RunningSandbox) -> None:
    """As seconds and as a date, which is held to a day at most."""
    route = {"instagram_image": "instagram.media", "facebook_text": "facebook.feed"}.get(name, "youtube.insert")
    sandbox.arm(route, preset="too_many_requests", headers={"Retry-After": told})

    failure = await _refused(driving(name))

    assert failure.kind is FailureKind.WAIT
    assert failure.retry_after == (timedelta(seconds=120) if told == "120" else timedelta(days=1))


async def test_estimate_of_the_usage_header_is_obeyed(driving: Driving, sandbox: RunningSandbox) -> None:
    """Meta says in minutes when calls are let in again."""
    sandbox.turn(business_usage={"call_count": 100, "estimated_time_to_regain_access": 42})

    failure = await _refused(driving("facebook_text"))

    assert (failure.kind, failure.retry_after) == (FailureKind.WAIT, timedelta(minutes=42))


async def test_spent_youtube_quota_waits_until_midnight_in_california(
    driving: Driving, sandbox: RunningSandbox
) -> None:
    """The project's day ends there."""
    sandbox.turn(youtube_inserts_per_day=0)

    failure = await _refused(driving("youtube_short"))

    assert failure.retry_after is not None
    ends = datetime.now(UTC) + failure.retry_after
    assert (ends + timedelta(seconds=30)).hour in (7, 8)
    assert timedelta(0) < failure.retry_after <= timedelta(hours=25)


@pytest.mark.parametrize(
    ("name", "urls", "code"),
    [
        ("instagram_image", ["/samples/none.jpg"], ErrorCode.MEDIA_UNREACHABLE),
        ("instagram_image", ["/samples/sunrise.png"], ErrorCode.CONTENT_REJECTED),
        ("instagram_reel", ["/samples/none.mp4"], ErrorCode.MEDIA_UNREACHABLE),
        ("instagram_reel", ["/samples/sunrise.jpg"], ErrorCode.CONTENT_REJECTED),
        ("facebook_photo", ["/samples/clip.mp4"], ErrorCode.CONTENT_REJECTED),
        ("facebook_video", ["/samples/sunrise.jpg"], ErrorCode.CONTENT_REJECTED),
    ],
)
async def test_bad_media_goes_to_the_person_at_once(
    *, name: str, urls: list[str], code: ErrorCode, driving: Driving, shown: Shown, sandbox: RunningSandbox
) -> None:
    """No second try, and a later attempt would begin from nothing."""
    drive = driving(name)
    drive.delivery = with_media(drive.delivery, *(sandbox.url + url for url in urls))

    outcome = await drive.run()

    assert isinstance(outcome, Rejected)
    assert (outcome.failure.kind, outcome.failure.code) == (FailureKind.CONTENT, code)
    assert outcome.checkpoint == {}
    assert (shown(), drive.retries) == ([], 0)


@pytest.mark.parametrize(
    ("route", "name", "detail", "platform_code"),
    [
        ("instagram.read", "instagram_reel", "2207026", "2207026"),
        ("facebook.read", "facebook_video", "", "error"),
        ("facebook.read", "facebook_reel", "", "error"),
        ("youtube.videos", "youtube_short", "codec", "codec"),
        ("youtube.videos", "youtube_short", "copyright", "copyright"),
    ],
)
async def test_processing_that_fails_is_a_refusal_of_the_content(
    *, route: str, name: str, detail: str, platform_code: str, driving: Driving, sandbox: RunningSandbox
) -> None:
    """Wherever a platform tells it: in the container, in the video's status, after the upload."""
    sandbox.turn(polls={"youtube_video": 0})
    sandbox.arm(route, action="fail_processing", detail=detail)

    failure = await _refused(driving(name))

    assert (failure.kind, failure.code) == (FailureKind.CONTENT, ErrorCode.CONTENT_REJECTED)
    assert failure.platform_code == platform_code


async def test_expired_token_is_told_apart_from_trouble(driving: Driving, sandbox: RunningSandbox) -> None:
    """Each platform's dead token asks for the person, with the platform's words."""
    for name in ("instagram_image", "facebook_photo", "youtube_short"):
        drive = driving(name)
        sandbox.http.post("/control/tokens", json={"account": ACCOUNTS[SHAPES[name].platform], "action": "revoke"})
        failure = await _refused(drive)
        assert (failure.kind, failure.code) == (FailureKind.RECONNECT, ErrorCode.RECONNECT_REQUIRED)


async def test_old_api_version_is_told(driving: Driving, sandbox: RunningSandbox) -> None:
    """An operator must set another: the platform is called ill, so that the breaker shows it."""
    sandbox.turn(graph_versions=["v31.0"])

    failure = await _refused(driving("facebook_text"))

    assert (failure.kind, failure.platform_code) == (FailureKind.RETRY, "2635")


@pytest.mark.parametrize("name", SHAPES)
async def test_no_token_is_in_any_outcome_or_log(
    name: str, driving: Driving, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Not when all goes well, not when the platform quotes the token it refuses, not in what libraries log."""
    caplog.set_level("DEBUG")
    drive = driving(name)
    token = drive.delivery.access_token
    words = f"Malformed access token {token}"
    error: dict[str, Any] = {"message": words, "code": 190, "errors": [{"reason": "authError"}]}
    routes = {request["name"] for request in sandbox.http.get("/control/routes").json()}
    first = {"instagram": "instagram.media", "facebook": "*", "youtube": "youtube.insert"}[name.partition("_")[0]]
    assert first == "*" or first in routes
    sandbox.arm(first, status=400, body={"error": error})

    failure = await _refused(drive)
    await drive.run()

    assert "Malformed access token [secret]" in failure.message
    assert token not in repr(drive.outcomes) + repr(drive.delivery) + repr(drive.provider)
    assert token not in "".join(record.getMessage() + str(record.exc_text) for record in caplog.records)
