"""Small promises of the clients: real addresses, pieces, patience, and what is left out of requests."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.accounts import Platform, Tokens
from services.domain.publishing import Advanced, Published, Rejected, Unknown
from services.providers.base import AuthorizationFailed, Provider
from services.providers.config import PlatformConfig
from services.providers.media_source import MediaSource
from services.providers.pacing import GRACE, PROCESSING, READING, Pacing, looks_of
from services.providers.registry import build_authorizers, build_providers
from services.providers.youtube import YouTubeProvider
from services.providers.youtube_session import GRANULE, next_piece
from tests.services.providers.conftest import NOW, FakePlatform, config_of, now
from tests.services.providers.deliveries import MIB, PLACES, SHOWING, TOKEN, a_delivery

Providers = Mapping[Platform, Provider]

ADDRESSES = {
    "create_container": "https://graph.instagram.com/v25.0/1784/media",
    "poll_container": "https://graph.instagram.com/v25.0/c1",
    "publish_container": "https://graph.instagram.com/v25.0/1784/media_publish",
    "upload_photo": "https://graph.facebook.com/v25.0/1784/photos",
    "create_post": "https://graph.facebook.com/v25.0/1784/feed",
    "publish_post": "https://graph.facebook.com/v25.0/p1",
    "create_video": "https://graph.facebook.com/v25.0/1784/videos",
    "start_reel": "https://graph.facebook.com/v25.0/1784/video_reels",
    "upload_reel": "https://rupload.facebook.com/video-upload/v25.0/v1",
    "resume_upload": "https://www.googleapis.com/upload/youtube/v3/videos",
    "check_processing": "https://www.googleapis.com/youtube/v3/videos",
}


@pytest.mark.parametrize(("place", "address"), ADDRESSES.items())
async def test_step_calls_the_platform_s_real_address(
    place: str, address: str, providers: Providers, fake_platform: FakePlatform
) -> None:
    """With nothing else set, and with the token in a header, never in the address or the form."""
    delivery = a_delivery(place)

    await providers[delivery.platform].perform(delivery)

    [request, *_] = [one for one in fake_platform.requests if "content_publishing_limit" not in one.url.path]
    assert str(request.url.copy_with(query=None)) == address
    scheme = "OAuth" if place == "upload_reel" else "Bearer"
    assert request.headers["authorization"] == f"{scheme} {TOKEN}"
    assert TOKEN not in str(request.url) + request.content.decode()


def test_steps_are_named_and_only_these_may_show() -> None:
    """What shows, or comes after what shows, must be asked about before it is repeated."""
    configs = {platform: config_of(platform) for platform in Platform}
    http = httpx.AsyncClient()
    providers = build_providers(http=http, media_http=http, configs=configs, now=now)

    steps = {place: providers[PLACES[place][0]].next_step(a_delivery(place)) for place in PLACES}

    assert all(step.name == place for place, step in steps.items())
    after = {"read_permalink", "poll_reel", "check_processing"}
    assert {step.name for step in steps.values() if step.shows} == {*SHOWING, *after}


@given(size=st.integers(1, 40 * MIB), pieces=st.integers(1, 40), start=st.integers(0, 40 * MIB))
def test_pieces_cover_a_file_and_leave_little_for_the_end(size: int, pieces: int, start: int) -> None:
    """From any offset: every piece but the last is whole granules, and the last, which shows the video, is small."""
    offset, at_most, lengths = min(start, size - 1), pieces * GRANULE, []
    while offset < size:
        lengths.append(next_piece(offset, size, at_most=at_most))
        offset += lengths[-1]

    assert offset == size
    assert all(0 < length <= at_most and length % GRANULE == 0 for length in lengths[:-1])
    assert 0 < lengths[-1] <= GRANULE


@pytest.mark.parametrize("piece_bytes", [0, 1000, GRANULE + 1])
def test_piece_that_youtube_would_refuse_is_refused_at_the_start(piece_bytes: int) -> None:
    """A wrong size is a mistake of ours, told when the client is built."""
    http = httpx.AsyncClient()
    with pytest.raises(ValueError, match="multiple"):
        YouTubeProvider(
            http=http,
            media=MediaSource(http=http),
            config=config_of(Platform.YOUTUBE),
            now=now,
            piece_bytes=piece_bytes,
        )


@given(looks=st.integers(0, 10**6))
def test_waits_grow_to_a_bound(looks: int) -> None:
    """Never shorter than before, never longer than the longest, however often."""
    for pacing in (PROCESSING, GRACE, READING):
        assert pacing.first <= pacing.wait(looks) <= pacing.wait(looks + 1) <= pacing.longest
        assert pacing.is_over({"looks": looks}) == (looks >= pacing.limit)


def test_grace_and_reading_end_well_within_two_minutes() -> None:
    """After a worker's death the person is told the truth in time."""
    for pacing in (GRACE, READING):
        waits: list[timedelta] = [pacing.wait(looks) for looks in range(pacing.limit)]
        assert timedelta(seconds=20) < sum(waits, timedelta()) < timedelta(seconds=60)


def test_pacing_counts_in_the_checkpoint() -> None:
    """Each look is written where the next process finds it, beside what was there."""
    pacing = Pacing(first=timedelta(seconds=1), longest=timedelta(seconds=3), limit=2)

    first = pacing.pending({"container": "c1"})
    second = pacing.unknown("?", first.checkpoint)

    assert (first.poll_after, second.ask_after) == (timedelta(seconds=1), timedelta(seconds=2))
    assert second.checkpoint == {"container": "c1", "looks": 2}
    assert looks_of(second.checkpoint) == 2


async def test_link_is_not_lost_where_a_post_has_media(providers: Providers, fake_platform: FakePlatform) -> None:
    """A post with pictures has no field for it, so it joins the words, once."""
    fake_platform.script = lambda _: httpx.Response(200, json={"id": "p9"})
    link = "https://crier.example/"
    for place, caption in (("upload_photo", "look"), ("create_post", "look")):
        delivery = a_delivery(place, caption=caption, link=link, photos=["p1", "p2"])
        await providers[Platform.FACEBOOK].perform(delivery)

    pictures, text = (parse_qs(request.content.decode()) for request in fake_platform.requests)

    assert pictures["message"] == [f"look\n\n{link}"]
    assert pictures["attached_media[1]"] == ['{"media_fbid": "p2"}']
    assert (text["message"], text["link"], text["published"]) == (["look"], [link], ["false"])


@pytest.mark.parametrize(
    ("told", "expected"), [("/reel/9/", "https://www.facebook.com/reel/9/"), ("https://fb.example/x", None)]
)
async def test_permalink_of_a_reel_can_be_opened(
    told: str, expected: str | None, providers: Providers, fake_platform: FakePlatform
) -> None:
    """Facebook leaves the host out."""
    status = {"video_status": "ready", "publishing_phase": {"status": "complete", "publish_status": "published"}}
    fake_platform.script = lambda _: httpx.Response(200, json={"status": status, "permalink_url": told})

    outcome = await providers[Platform.FACEBOOK].perform(a_delivery("poll_reel"))

    assert isinstance(outcome, Published)
    assert outcome.permalink == (expected or told)


@pytest.mark.parametrize("video_status", ["processing", "upload_complete", "ready"])
async def test_reel_in_doubt_is_not_sent_again_while_it_is_processed(
    video_status: str, providers: Providers, fake_platform: FakePlatform
) -> None:
    """`not_started` says nothing while Facebook works on it; later it says that it is not out."""
    status = {"video_status": video_status, "publishing_phase": {"status": "not_started"}}
    fake_platform.script = lambda _: httpx.Response(200, json={"status": status})

    finding = await providers[Platform.FACEBOOK].find_out(a_delivery("publish_reel", looks=3))

    assert isinstance(finding, Unknown if video_status == "processing" else Advanced)


async def test_medium_out_of_reach_is_waited_for_and_then_told(
    providers: Providers, fake_platform: FakePlatform
) -> None:
    """Its server's trouble is not YouTube's: no retry is charged, and after a while the person knows."""
    fake_platform.script = lambda _: httpx.Response(503)
    delivery = a_delivery("upload_bytes")
    kinds = []
    for _ in range(6):
        outcome = await providers[Platform.YOUTUBE].perform(delivery)
        assert isinstance(outcome, Rejected)
        kinds.append(outcome.failure.kind.value)
        delivery = a_delivery("upload_bytes", **outcome.checkpoint)

    assert kinds == ["WAIT"] * 5 + ["CONTENT"]


WHOLE = {"content-range": f"bytes 8388608-8388608/{20 * MIB}"}


@pytest.mark.parametrize(
    ("headers", "is_same"),
    [
        ({"content-range": "bytes 8388608-8388608/999", "etag": '"one"'}, False),
        ({**WHOLE, "etag": '"two"'}, False),
        ({**WHOLE, "etag": '"one"'}, True),
        ({**WHOLE, "etag": 'W/"two"'}, True),
        (WHOLE, True),
    ],
)
async def test_medium_that_changed_meanwhile_is_not_mixed(
    headers: dict[str, str], is_same: bool, providers: Providers, fake_platform: FakePlatform
) -> None:
    """Half of one file and half of another is nobody's video, also where both are of one size. A server that gives no
    strong tag says nothing of that."""
    content = b"x" * 20 * MIB
    fake_platform.script = lambda request: httpx.Response(
        206 if request.method == "GET" else 308,
        content=content if request.method == "GET" else b"",
        headers=headers if request.method == "GET" else {"range": f"bytes=0-{16 * MIB - 1}"},
    )

    outcome = await providers[Platform.YOUTUBE].perform(a_delivery("upload_bytes", etag='"one"'))

    if is_same:
        assert isinstance(outcome, Advanced)
        assert (outcome.checkpoint["offset"], outcome.checkpoint["etag"]) == (16 * MIB, '"one"')
        return
    assert isinstance(outcome, Rejected)
    assert (outcome.failure.code, outcome.checkpoint) == ("MEDIA_UNREACHABLE", {})


async def test_piece_behind_what_has_come_goes_on_where_youtube_is(
    providers: Providers, fake_platform: FakePlatform
) -> None:
    """The worker before us died with a piece on the wire: a refused place is asked about, not told as an error."""

    def script(request: httpx.Request) -> httpx.Response:
        if request.url.host == "media.example":
            headers = {"content-range": f"bytes 0-0/{20 * MIB}"}
            return httpx.Response(206, content=b"x" * (8 * MIB), headers=headers)
        if request.headers["content-range"].startswith("bytes */"):
            return httpx.Response(308, headers={"range": f"bytes=0-{16 * MIB - 1}"})
        return httpx.Response(400, json={"error": {"errors": [{"reason": "badRequest"}]}})

    fake_platform.script = script

    outcome = await providers[Platform.YOUTUBE].perform(a_delivery("upload_bytes"))

    assert isinstance(outcome, Advanced)
    assert outcome.checkpoint["offset"] == 16 * MIB


@pytest.mark.parametrize(
    ("platform", "page", "asked"),
    [
        (Platform.INSTAGRAM, "https://www.instagram.com/oauth/authorize", {"scope": "instagram_business_basic,"}),
        (Platform.FACEBOOK, "https://www.facebook.com/v25.0/dialog/oauth", {"scope": "pages_show_list,"}),
        (
            Platform.YOUTUBE,
            "https://accounts.google.com/o/oauth2/v2/auth",
            {"access_type": "offline", "prompt": "consent", "code_challenge": "c", "code_challenge_method": "S256"},
        ),
    ],
)
def test_authorize_url_is_the_platform_s_own(platform: Platform, page: str, asked: Mapping[str, str]) -> None:
    """With our id, the way back, the state and what the platform wants besides; never the secret."""
    configs = {one: config_of(one) for one in Platform}
    authorizer = build_authorizers(http=httpx.AsyncClient(), configs=configs, now=now)[platform]

    url = authorizer.authorize_url(redirect_uri="https://crier.example/cb?x=1", state="s t", code_challenge="c")

    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{page}?")
    wanted: dict[str, Any] = {"client_id": "app", "redirect_uri": "https://crier.example/cb?x=1", "state": "s t"}
    assert {name: query[name] for name in wanted} == wanted
    assert all(query[name].startswith(value) for name, value in asked.items())
    assert "hush" not in url


def test_base_url_moves_every_host_of_a_platform() -> None:
    """One setting is enough for a sandbox, with or without a slash at its end."""
    for base in ("http://127.0.0.1:8001/facebook", "http://127.0.0.1:8001/facebook/"):
        config = PlatformConfig.of(
            Platform.FACEBOOK, client_id="app", client_secret="hush", base_url=base, api_version="v27.0"
        )
        hosts = config.hosts
        assert {hosts.authorize, hosts.token, hosts.graph, hosts.upload, hosts.site} == {base.rstrip("/")}
        assert config.api_version == "v27.0"
        assert "hush" not in repr(config)


async def test_refusal_of_a_token_request_names_no_secret() -> None:
    """Whatever the platform quotes back."""
    quoting = httpx.MockTransport(lambda request: httpx.Response(400, json={"error": {"message": _all_of(request)}}))
    configs = {one: config_of(one) for one in Platform}
    authorizers = build_authorizers(http=httpx.AsyncClient(transport=quoting), configs=configs, now=now)
    tokens = Tokens(access="acc3ss", refresh="r3fresh", expires_at=NOW)
    for authorizer in authorizers.values():
        with pytest.raises(AuthorizationFailed) as exchange:
            await authorizer.exchange(redirect_uri="https://x.example", code="c0de", code_verifier="v3rifier")
        with pytest.raises(AuthorizationFailed) as refresh:
            await authorizer.refresh(tokens)
        said = repr(exchange.value.failure) + repr(refresh.value.failure) + str(exchange.value) + str(refresh.value)
        assert not [secret for secret in ("hush", "c0de", "v3rifier", "acc3ss", "r3fresh") if secret in said]


def _all_of(request: httpx.Request) -> str:
    return f"{request.url} {request.content.decode()}"
