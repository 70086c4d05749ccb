"""The platforms' own limits, as they tell them: read beside each call, and respected before they refuse."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.domain.accounts import Platform
from services.domain.errors import ErrorCode
from services.domain.publishing import Advanced, FailureKind, Published, Rejected
from services.providers.base import Provider
from services.providers.usage import MOST_ACCOUNTS, Usage
from tests.services.providers.conftest import NOW, FakePlatform
from tests.services.providers.deliveries import a_delivery

Providers = Mapping[Platform, Provider]


def granting(used: int, total: int, **more: Any) -> httpx.Response:
    """Instagram's answer about its quota."""
    return httpx.Response(200, json={"data": [{"quota_usage": used, "config": {"quota_total": total, **more}}]})


@pytest.mark.parametrize("place", ["create_container", "create_child"])
async def test_instagram_is_asked_what_it_grants_and_not_troubled_beyond(
    providers: Providers, fake_platform: FakePlatform, place: str
) -> None:
    """All of the day's places used: nothing is created, the post waits, with Instagram's own number in the reason."""
    fake_platform.script = lambda _: granting(100, 100, quota_duration=86400)
    delivery = replace(a_delivery(place), checkpoint={})

    outcome = await providers[Platform.INSTAGRAM].perform(delivery)

    assert isinstance(outcome, Rejected)
    assert (outcome.failure.kind, outcome.failure.code) == (FailureKind.WAIT, ErrorCode.RATE_LIMITED)
    assert "100 publications in 24 hours" in outcome.failure.message
    assert [request.method for request in fake_platform.requests] == ["GET"]


@pytest.mark.parametrize(
    "answer",
    [granting(49, 50), granting(0, 1), httpx.Response(500), httpx.Response(200, json={"data": [{"config": "?"}]})],
    ids=["one left", "none used", "no answer", "nonsense"],
)
async def test_while_places_are_left_or_nobody_says_instagram_is_tried(
    providers: Providers, fake_platform: FakePlatform, answer: httpx.Response
) -> None:
    """The platform's own refusal would still be heeded."""

    def script(request: httpx.Request) -> httpx.Response:
        return answer if request.method == "GET" else httpx.Response(200, json={"id": "c1"})

    fake_platform.script = script

    outcome = await providers[Platform.INSTAGRAM].perform(a_delivery("create_container"))

    assert outcome == Advanced({"container": "c1"})


HEADERS: dict[str, tuple[dict[str, str], timedelta]] = {
    "app": ({"X-App-Usage": json.dumps({"call_count": 96, "total_time": 3})}, timedelta(minutes=1)),
    "time": ({"X-App-Usage": json.dumps({"call_count": 3, "total_cputime": 100})}, timedelta(minutes=1)),
    "business": (
        {"X-Business-Use-Case-Usage": json.dumps({"1": [{"type": "pages", "call_count": 100}]})},
        timedelta(minutes=1),
    ),
    "regain": (
        {"X-Business-Use-Case-Usage": json.dumps({"1": [{"call_count": 100, "estimated_time_to_regain_access": 19}]})},
        timedelta(minutes=19),
    ),
}


@pytest.mark.parametrize("told", HEADERS)
async def test_a_limit_that_is_nearly_used_up_is_respected_before_it_is_met(
    providers: Providers, fake_platform: FakePlatform, told: str
) -> None:
    """Told in the headers of a success: the next work waits as long as said, unsent; questions are still asked."""
    headers, wait = HEADERS[told]
    fake_platform.script = lambda _: httpx.Response(200, json={"id": "p1", "success": True}, headers=headers)
    facebook = providers[Platform.FACEBOOK]
    assert isinstance(await facebook.perform(a_delivery("create_post")), Advanced)

    for place in ("create_post", "publish_post"):
        outcome = await facebook.perform(a_delivery(place))
        assert isinstance(outcome, Rejected)
        assert (outcome.failure.kind, outcome.failure.left) == (FailureKind.WAIT, False)
        assert outcome.failure.retry_after == wait
    assert len(fake_platform.requests) == 1
    await facebook.find_out(a_delivery("publish_post"))
    assert len(fake_platform.requests) == 2


async def test_a_limit_with_room_again_lets_work_pass(providers: Providers, fake_platform: FakePlatform) -> None:
    """Any answer that says so ends the wait."""
    fake_platform.script = lambda _: httpx.Response(
        200, json={"id": "p1", "is_published": True}, headers=HEADERS["app"][0]
    )
    facebook = providers[Platform.FACEBOOK]
    await facebook.find_out(a_delivery("publish_post"))
    assert isinstance(await facebook.perform(a_delivery("publish_post")), Rejected)

    fake_platform.script = lambda _: httpx.Response(
        200, json={"id": "p1", "success": True}, headers={"X-App-Usage": '{"call_count": 20}'}
    )
    await facebook.find_out(a_delivery("publish_post"))
    assert isinstance(await facebook.perform(a_delivery("publish_post")), Published)


@pytest.mark.parametrize("header", ["", "[]", "x", '{"call_count": "many"}', '{"call_count": true}', '{"1": [7]}'])
def test_headers_that_say_nothing_hold_nobody(header: str) -> None:
    """Whatever a platform may send there."""
    usage = Usage(now=lambda: NOW)
    usage.note({"x-app-usage": header, "x-business-use-case-usage": header}, token="t")
    assert usage.wait(token="t") is None


def test_what_one_account_used_holds_no_other_and_memory_is_bounded() -> None:
    """A business limit is the account's; of very many the ones told longest ago are forgotten."""
    moment = NOW
    usage = Usage(now=lambda: moment)
    headers = httpx.Headers(HEADERS["regain"][0])
    for n in range(MOST_ACCOUNTS + 5):
        usage.note(headers, token=f"t{n}")

    assert usage.wait(token="another") is None
    assert usage.wait(token="t0") is None
    assert usage.wait(token=f"t{MOST_ACCOUNTS}") == timedelta(minutes=19)
    moment = NOW + timedelta(minutes=19)
    assert usage.wait(token=f"t{MOST_ACCOUNTS}") is None
