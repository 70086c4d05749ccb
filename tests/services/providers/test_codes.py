"""Every documented code of every platform means what the documents say it asks for."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.accounts import Platform
from services.domain.publishing import Failure, Pending, Rejected, StepOutcome, Unknown
from services.providers.base import Provider
from services.providers.youtube_rules import until_midnight
from tests.services.providers.conftest import FakePlatform
from tests.services.providers.deliveries import a_delivery

# Code/subcode → (what it asks for, whether the next attempt begins from nothing). From the platforms' documents.
INSTAGRAM = {
    "-1/2207001": ("RETRY", False), "-1/2207032": ("RETRY", True), "-1/2207053": ("RETRY", True),
    "-2/2207003": ("RETRY", True), "-2/2207020": ("RETRY", True), "24/2207006": ("RETRY", True),
    "1/2207082": ("RETRY", True), "24/2207008": ("RETRY", False), "9007/2207027": ("RETRY", False),
    "4/2207051": ("WAIT", False), "9/2207042": ("WAIT", False), "25/2207050": ("PERMISSION", False),
    "9004/2207052": ("CONTENT", True), "36000/2207004": ("CONTENT", True), "36001/2207005": ("CONTENT", True),
    "36003/2207009": ("CONTENT", True), "36004/2207010": ("CONTENT", True), "100/2207028": ("CONTENT", True),
    "100/2207040": ("CONTENT", True), "1/2207026": ("CONTENT", True), "1/2207023": ("CONTENT", True),
    "1/2207057": ("CONTENT", True), "1/2207035": ("CONTENT", True), "1/2207036": ("CONTENT", True),
    "1/2207037": ("CONTENT", True), "1/2207081": ("CONTENT", True),
}  # fmt: skip
GRAPH = {
    "1": ("RETRY", False), "2": ("RETRY", False), "4": ("WAIT", False), "17": ("WAIT", False),
    "32": ("WAIT", False), "613": ("WAIT", False), "341": ("WAIT", False), "80001": ("WAIT", False),
    "80002": ("WAIT", False), "102": ("RECONNECT", False), "190": ("RECONNECT", False),
    "190/458": ("RECONNECT", False), "190/459": ("RECONNECT", False), "190/460": ("RECONNECT", False),
    "190/463": ("RECONNECT", False), "190/464": ("RECONNECT", False), "190/467": ("RECONNECT", False),
    "10": ("PERMISSION", False), "200": ("PERMISSION", False), "275": ("PERMISSION", False),
    "299": ("PERMISSION", False), "100": ("CONTENT", True), "100/33": ("PERMISSION", False),
    "368": ("WAIT", False), "506": ("CONTENT", True), "1609005": ("CONTENT", True), "2635": ("RETRY", False),
}  # fmt: skip
FACEBOOK = {
    "6000": ("CONTENT", True), "6000/1363022": ("CONTENT", True), "6000/1363023": ("CONTENT", True),
    "6000/1363024": ("CONTENT", True), "6000/1363031": ("CONTENT", True), "6000/1363032": ("CONTENT", True),
    "6000/1363025": ("CONTENT", True), "6000/1363026": ("CONTENT", True), "6000/1363033": ("RETRY", True),
    "6000/1363037": ("RETRY", True), "6000/1363045": ("RETRY", True), "6000/1363041": ("RETRY", True),
    "100/1366046": ("CONTENT", True), "368/1390008": ("WAIT", False),
}  # fmt: skip
GOOGLE = {
    "quotaExceeded": (403, "WAIT"), "rateLimitExceeded": (403, "WAIT"), "uploadLimitExceeded": (400, "WAIT"),
    "invalidTitle": (400, "CONTENT"), "invalidDescription": (400, "CONTENT"), "invalidTags": (400, "CONTENT"),
    "invalidCategoryId": (400, "CONTENT"), "invalidPublishAt": (400, "CONTENT"),
    "invalidVideoMetadata": (400, "CONTENT"), "mediaBodyRequired": (400, "CONTENT"),
    "authorizationRequired": (401, "RECONNECT"), "youtubeSignupRequired": (401, "PERMISSION"),
    "forbidden": (403, "PERMISSION"), "insufficientPermissions": (403, "PERMISSION"),
    "forbiddenPrivacySetting": (403, "CONTENT"), "backendError": (503, "RETRY"),
}  # fmt: skip

Providers = Mapping[Platform, Provider]


def _graph_error(name: str, **more: object) -> dict[str, object]:
    code, _, subcode = name.partition("/")
    error: dict[str, object] = {"message": "no", "code": int(code), **more}
    return {"error": error | ({"error_subcode": int(subcode)} if subcode else {})}


async def _perform(providers: Providers, fake: FakePlatform, place: str, reply: httpx.Response) -> StepOutcome:
    fake.script = lambda _: reply
    delivery = a_delivery(place)
    return await providers[delivery.platform].perform(delivery)


def _failure(outcome: StepOutcome) -> Failure:
    assert isinstance(outcome, Rejected), outcome
    return outcome.failure


@pytest.mark.parametrize("status", [400, 401, 403, 500])
@pytest.mark.parametrize(
    ("place", "name", "meant"),
    [
        *(("create_child", name, meant) for name, meant in {**GRAPH, **INSTAGRAM}.items()),
        *(("upload_photo", name, meant) for name, meant in {**GRAPH, **FACEBOOK}.items()),
    ],
)
async def test_meta_code_means_the_same_under_any_status(
    *, place: str, name: str, meant: tuple[str, bool], status: int, providers: Providers, fake_platform: FakePlatform
) -> None:
    """Limits come as 400 and dead tokens as 400 or 401: the code counts."""
    outcome = await _perform(providers, fake_platform, place, httpx.Response(status, json=_graph_error(name)))

    failure = _failure(outcome)
    assert isinstance(outcome, Rejected)
    assert (failure.kind, outcome.checkpoint == {}) == meant
    assert failure.platform_code == name
    assert (failure.retry_after is not None) == (failure.kind == "WAIT")


@pytest.mark.parametrize(
    ("status", "more", "kind"),
    [
        (400, {}, "CONTENT"),
        (400, {"is_transient": True}, "RETRY"),
        (401, {}, "RECONNECT"),
        (403, {}, "PERMISSION"),
        (429, {}, "WAIT"),
        (500, {}, "RETRY"),
    ],
)
async def test_code_that_nobody_knows_is_judged_by_other_signs(
    status: int, more: dict[str, object], kind: str, providers: Providers, fake_platform: FakePlatform
) -> None:
    """New codes appear; the answer says enough to go on."""
    reply = httpx.Response(status, json=_graph_error("777777", **more))

    assert _failure(await _perform(providers, fake_platform, "upload_photo", reply)).kind == kind


@pytest.mark.parametrize("subcode", [None, "2207999"])
async def test_unknown_subcode_falls_back_on_its_code(
    subcode: str | None, providers: Providers, fake_platform: FakePlatform
) -> None:
    """Community lists of subcodes disagree and are never complete."""
    name = "190" if subcode is None else f"190/{subcode}"

    outcome = await _perform(providers, fake_platform, "create_child", httpx.Response(400, json=_graph_error(name)))

    assert _failure(outcome).kind == "RECONNECT"


@pytest.mark.parametrize("name", ["1", "2", "1/1366051"])
@pytest.mark.parametrize("place", ["publish_post", "publish_video", "publish_reel"])
async def test_code_that_leaves_doubt_is_asked_back(
    name: str, place: str, providers: Providers, fake_platform: FakePlatform
) -> None:
    """Even as 400: Facebook may have done it, or says that it had been done before."""
    outcome = await _perform(providers, fake_platform, place, httpx.Response(400, json=_graph_error(name)))

    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize("name", [*GRAPH, *INSTAGRAM])
async def test_no_refusal_of_media_publish_is_believed_unasked(
    name: str, providers: Providers, fake_platform: FakePlatform
) -> None:
    """Instagram says no to posts that went out."""
    reply = httpx.Response(400, json=_graph_error(name))

    assert isinstance(await _perform(providers, fake_platform, "publish_container", reply), Unknown)


@pytest.mark.parametrize("subcode", ["2207008", "2207027"])
async def test_container_that_is_not_there_yet_is_waited_for(
    subcode: str, providers: Providers, fake_platform: FakePlatform
) -> None:
    """A fresh object may briefly read as missing, and not-ready means the same container later."""
    missing = httpx.Response(400, json=_graph_error("100/33"))
    assert isinstance(await _perform(providers, fake_platform, "poll_container", missing), Pending)

    refused = httpx.Response(400, json=_graph_error(f"24/{subcode}"))
    outcome = await _perform(providers, fake_platform, "poll_container", refused)
    assert isinstance(outcome, Rejected)
    assert outcome.checkpoint == {"container": "c1"}


@pytest.mark.parametrize(("reason", "meant"), GOOGLE.items())
async def test_google_reason_means_what_the_documents_say(
    reason: str, meant: tuple[int, str], providers: Providers, fake_platform: FakePlatform
) -> None:
    """The reason counts, not the status: 403 is a limit, a permission or the content."""
    status, kind = meant
    error = {"code": status, "message": "no", "errors": [{"message": "no", "domain": "youtube", "reason": reason}]}

    outcome = await _perform(providers, fake_platform, "resume_upload", httpx.Response(status, json={"error": error}))

    assert (_failure(outcome).kind, _failure(outcome).platform_code) == (kind, reason)


async def test_words_of_the_platform_are_kept_within_bounds(providers: Providers, fake_platform: FakePlatform) -> None:
    """What it tells the user is part of them; a book is not."""
    error = {"code": 100, "message": "(#100) bad", "error_user_msg": "The link is wrong. " + "x" * 2000}
    reply = httpx.Response(400, json={"error": error})

    message = _failure(await _perform(providers, fake_platform, "create_post", reply)).message

    assert message.startswith("(#100) bad · The link is wrong.")
    assert len(message) == 500


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 — hypothesis wants naive bounds
def test_google_day_ends_at_a_pacific_midnight(moment: datetime) -> None:
    """By the rule of the law: UTC-7 from the second Sunday of March to the first of November, 2 o'clock, else UTC-8."""
    now = moment.replace(tzinfo=UTC)

    ends = now + until_midnight(now)

    march = datetime(ends.year, 3, 8, 10, tzinfo=UTC)
    summer = march + timedelta(days=(6 - march.weekday()) % 7)
    november = datetime(ends.year, 11, 1, 9, tzinfo=UTC)
    winter = november + timedelta(days=(6 - november.weekday()) % 7)
    pacific = ends - timedelta(hours=7 if summer <= ends < winter else 8)
    assert (pacific.hour, pacific.minute, pacific.second) == (0, 0, 0)
    assert timedelta(0) < until_midnight(now) <= timedelta(hours=25)


async def test_graph_answer_that_is_no_json_is_trouble(providers: Providers, fake_platform: FakePlatform) -> None:
    """A proxy's page with status 200, and JSON without what was asked for: neither counts as done."""
    for reply in (httpx.Response(200, text="<html>"), httpx.Response(200, content=json.dumps({"a": 1}))):
        assert isinstance(await _perform(providers, fake_platform, "publish_post", reply), Unknown)
        assert _failure(await _perform(providers, fake_platform, "create_post", reply)).kind == "RETRY"
