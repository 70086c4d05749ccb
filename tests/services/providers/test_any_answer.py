"""A platform may answer anything at any step: the client never raises, never guesses, and can always go on."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.domain.accounts import Platform
from services.domain.publishing import Advanced, Pending, Published, Rejected, Unknown
from services.providers.base import Provider
from tests.services.providers.conftest import FakePlatform
from tests.services.providers.deliveries import PLACES, SHOWING, TOKEN, a_delivery

WORDS = [
    "id", "data", "error", "code", "message", "error_subcode", "errors", "reason", "status", "status_code", "success",
    "video_id", "publishing_phase", "publish_status", "video_status", "permalink_url", "permalink", "timestamp",
    "caption", "is_published", "published", "items", "snippet", "publishedAt", "title", "resourceId", "videoId",
    "uploadStatus", "processingDetails", "processingStatus", "debug_info", "retriable", "type", "error_message",
]  # fmt: skip
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2207090),
    st.sampled_from(["FINISHED", "PUBLISHED", "ERROR", "ready", "published", "processed", "c1", "", TOKEN, "190"]),
    st.text(max_size=5),
)
ANSWERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=6)),
    max_leaves=14,
)
STATUSES = st.sampled_from([200, 201, 204, 302, 308, 400, 401, 403, 404, 410, 418, 429, 500, 503])
HEADERS = st.dictionaries(
    st.sampled_from(["range", "location", "retry-after", "x-business-use-case-usage", "content-range"]),
    st.sampled_from(["bytes=0-99", "bytes=-1", "bytes 0-0/100", "-5", "1e9", "soon", "{}", '{"1":[{"a":1}]}', "[1]"]),
)
REPLIES = st.lists(st.tuples(STATUSES, HEADERS, ANSWERS), min_size=1, max_size=4)


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(replies=REPLIES, asks=st.booleans())
def test_any_answer_at_any_step_ends_in_an_outcome(
    place: str,
    replies: list[tuple[int, dict[str, str], Any]],
    asks: bool,
    providers: Mapping[Platform, Provider],
    fake_platform: FakePlatform,
) -> None:
    """Whatever comes: one of five ends, a checkpoint that is JSON and leads on, and no token anywhere."""
    pending = [httpx.Response(status, headers=headers, json=body) for status, headers, body in replies]
    fake_platform.script = lambda _: pending.pop(0) if len(pending) > 1 else _again(replies[-1])
    delivery = a_delivery(place)
    provider = providers[delivery.platform]
    assert provider.next_step(delivery).name == place

    outcome = asyncio.run(provider.find_out(delivery) if asks else provider.perform(delivery))

    assert TOKEN not in repr(outcome).replace("'", "") or _was_named(replies)
    match outcome:
        case Advanced(checkpoint) | Pending(checkpoint) | Rejected(_, checkpoint) | Unknown(_, checkpoint):
            loaded = json.loads(json.dumps(checkpoint))
            assert loaded == checkpoint
            provider.next_step(a_delivery(place, **loaded))
        case Published(platform_post_id):
            assert platform_post_id


def _again(reply: tuple[int, dict[str, str], Any]) -> httpx.Response:
    status, headers, body = reply
    return httpx.Response(status, headers=headers, json=body)


def _was_named(replies: list[tuple[int, dict[str, str], Any]]) -> bool:
    """Whether the platform itself gave the token out as an id or an address: then it is none."""
    return any(status < 300 and TOKEN in json.dumps(body) for status, _, body in replies)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("lost", [httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.WriteError])
async def test_answer_that_is_lost_leaves_doubt_only_where_the_post_may_show(
    place: str, lost: type[httpx.TransportError], providers: Mapping[Platform, Provider], fake_platform: FakePlatform
) -> None:
    """Every other step is simply tried again."""

    def drop(request: httpx.Request) -> httpx.Response:
        if request.url.host == "media.example":
            return httpx.Response(206, content=b"x" * 100, headers={"content-range": "bytes 0-99/100"})
        raise lost(f"secret in {TOKEN}", request=request)

    fake_platform.script = drop
    delivery = a_delivery(place)

    outcome = await providers[delivery.platform].perform(delivery)

    assert TOKEN not in repr(outcome)
    if place in SHOWING:
        assert isinstance(outcome, Unknown)
        assert outcome.checkpoint == delivery.checkpoint
        return
    if isinstance(outcome, Rejected):
        assert outcome.failure.kind in ("RETRY", "CONTENT")
        return
    assert isinstance(outcome, Pending)


@pytest.mark.parametrize("place", SHOWING)
async def test_request_that_never_left_leaves_no_doubt(
    place: str, providers: Mapping[Platform, Provider], fake_platform: FakePlatform
) -> None:
    """No connection: nothing happened, the slot may be given back, and the checkpoint stands."""

    def refuse(request: httpx.Request) -> httpx.Response:
        if request.url.host == "media.example":
            return httpx.Response(206, content=b"x" * 100, headers={"content-range": "bytes 0-99/100"})
        raise httpx.ConnectError("refused", request=request)

    fake_platform.script = refuse
    delivery = a_delivery(place)

    outcome = await providers[delivery.platform].perform(delivery)

    assert isinstance(outcome, Rejected)
    assert (outcome.failure.kind, outcome.failure.left) == ("RETRY", False)
    assert outcome.checkpoint == delivery.checkpoint


@pytest.mark.parametrize("place", PLACES)
async def test_platform_that_is_out_of_reach_answers_no_question(
    place: str, providers: Mapping[Platform, Provider], fake_platform: FakePlatform
) -> None:
    """Asking into the void is never taken for `not out`."""
    fake_platform.script = lambda _: httpx.Response(503)
    delivery = a_delivery(place, looks=99)

    finding = await providers[delivery.platform].find_out(delivery)

    if place in SHOWING:
        assert isinstance(finding, Unknown)
    assert not isinstance(finding, Rejected)
