"""The whole OAuth round trip of each platform: the link, the person's yes, the code, tokens that publish, refresh."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app.sandbox.running import RunningSandbox
from services.domain.accounts import ConnectedProfile, Platform
from services.domain.errors import ErrorCode
from services.domain.publishing import FailureKind, Published
from services.providers.base import AuthorizationFailed, Authorizer
from services.providers.config import PlatformConfig
from services.providers.registry import build_authorizers
from tests.contract.conftest import Driving, now
from tests.contract.shapes import ACCOUNTS

REDIRECT = "http://127.0.0.1:8000/oauth/callback"
VERIFIER = "a-proof-key-of-forty-three-characters-or-more"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
PEOPLE = {**ACCOUNTS, Platform.FACEBOOK: "10220000000000001"}
DAY = 24 * 3600

Authorizers = Mapping[Platform, Authorizer]


@dataclass
class Person:
    """Somebody in a browser, who opens the link and answers the page."""

    sandbox: RunningSandbox

    def answer(self, link: str, platform: Platform, decision: str = "continue") -> Mapping[str, str]:
        """Open the page, answer it, and give the query of the address one is sent back to."""
        page = self.sandbox.http.get(link)
        assert page.status_code == 200, page.text
        assert PEOPLE[platform] in page.text
        sent_back = self.sandbox.http.post(link, data={"decision": decision, "subject": PEOPLE[platform]})
        assert sent_back.status_code == 302, sent_back.text
        location = sent_back.headers["location"]
        assert location.startswith(f"{REDIRECT}?")
        query, _, fragment = location.removeprefix(f"{REDIRECT}?").partition("#")
        answered = {name: values[0] for name, values in parse_qs(query).items()}
        return {**answered, "code": answered["code"] + "#_"} if fragment == "_" else answered


@pytest.fixture
def person(sandbox: RunningSandbox) -> Person:
    """Ada at her browser."""
    return Person(sandbox)


async def _connect(authorizer: Authorizer, person: Person) -> Sequence[ConnectedProfile]:
    link = authorizer.authorize_url(redirect_uri=REDIRECT, state="st4te", code_challenge=CHALLENGE)
    answered = person.answer(link, authorizer.platform)
    assert answered["state"] == "st4te"
    return await authorizer.exchange(redirect_uri=REDIRECT, code=answered["code"], code_verifier=VERIFIER)


@pytest.mark.parametrize("in_data", [False, True], ids=["flat", "in_data"])
async def test_instagram_gives_one_account_for_sixty_days(
    in_data: bool, authorizers: Authorizers, person: Person, sandbox: RunningSandbox
) -> None:
    """The short token is changed for a long one, however the first answer is wrapped."""
    sandbox.turn(instagram_token_in_data=in_data)

    [profile] = await _connect(authorizers[Platform.INSTAGRAM], person)

    assert (profile.external_id, profile.handle) == (ACCOUNTS[Platform.INSTAGRAM], "ada.lumen")
    assert profile.avatar_url
    assert profile.tokens.expires_at is not None
    assert abs(profile.tokens.expires_at - now() - timedelta(days=60)) < timedelta(minutes=1)
    assert set(profile.tokens.scopes) == {"instagram_business_basic", "instagram_business_content_publish"}


async def test_facebook_gives_every_page_with_a_token_that_does_not_end(
    authorizers: Authorizers, person: Person
) -> None:
    """One yes, two Pages."""
    profiles = await _connect(authorizers[Platform.FACEBOOK], person)

    assert [profile.handle for profile in profiles] == ["lumencoffee", "lumenroastery"]
    assert {profile.tokens.expires_at for profile in profiles} == {None}
    assert all("pages_manage_posts" in profile.tokens.scopes for profile in profiles)
    assert len({profile.tokens.access for profile in profiles}) == 2


async def test_youtube_gives_a_channel_with_a_refresh_token(authorizers: Authorizers, person: Person) -> None:
    """An hour of access, and the key to more."""
    [profile] = await _connect(authorizers[Platform.YOUTUBE], person)

    assert (profile.external_id, profile.handle) == (ACCOUNTS[Platform.YOUTUBE], "adalumen")
    assert profile.tokens.refresh
    assert profile.tokens.expires_at is not None
    assert profile.tokens.expires_at - now() < timedelta(hours=1, minutes=1)


@pytest.mark.parametrize("name", ["instagram_image", "facebook_text", "youtube_short"])
async def test_connected_account_publishes(
    name: str, authorizers: Authorizers, person: Person, driving: Driving
) -> None:
    """The token of the round trip is good for what it was asked for."""
    drive = driving(name)
    profile = (await _connect(authorizers[drive.provider.platform], person))[0]
    drive.delivery = replace(drive.delivery, access_token=profile.tokens.access)

    assert isinstance(await drive.run(), Published)


async def test_instagram_refresh_gives_sixty_more_days(
    authorizers: Authorizers, person: Person, sandbox: RunningSandbox
) -> None:
    """Two days later; within the first day Instagram refuses, which is no reason to bother the person."""
    [profile] = await _connect(authorizers[Platform.INSTAGRAM], person)
    authorizer = authorizers[Platform.INSTAGRAM]
    with pytest.raises(AuthorizationFailed) as too_early:
        await authorizer.refresh(profile.tokens)
    sandbox.advance(seconds=2 * DAY)

    fresh = await authorizer.refresh(profile.tokens)

    assert too_early.value.failure.kind is FailureKind.RETRY
    assert fresh.access != profile.tokens.access
    assert set(fresh.scopes) == set(profile.tokens.scopes)


async def test_youtube_refresh_keeps_the_old_refresh_token(authorizers: Authorizers, person: Person) -> None:
    """Google names none in its answer, and the old one stays good."""
    [profile] = await _connect(authorizers[Platform.YOUTUBE], person)

    fresh = await authorizers[Platform.YOUTUBE].refresh(profile.tokens)

    assert fresh.access != profile.tokens.access
    assert fresh.refresh == profile.tokens.refresh
    assert set(fresh.scopes) == set(profile.tokens.scopes)


@pytest.mark.parametrize("platform", [Platform.INSTAGRAM, Platform.YOUTUBE])
async def test_refresh_after_the_person_took_it_back_asks_to_reconnect(
    platform: Platform, authorizers: Authorizers, person: Person, sandbox: RunningSandbox
) -> None:
    """A revoked grant is dead."""
    [profile] = await _connect(authorizers[platform], person)
    sandbox.http.post("/control/tokens", json={"account": profile.external_id, "action": "revoke"})

    with pytest.raises(AuthorizationFailed) as refused:
        await authorizers[platform].refresh(profile.tokens)

    assert refused.value.failure.kind is FailureKind.RECONNECT
    assert refused.value.code is ErrorCode.RECONNECT_REQUIRED


@pytest.mark.parametrize("fault", [{"preset": "transient"}, {"action": "drop"}, {"preset": "bad_gateway"}])
@pytest.mark.parametrize("platform", [Platform.INSTAGRAM, Platform.YOUTUBE])
async def test_refresh_that_merely_fails_asks_for_patience(
    platform: Platform, fault: dict[str, str], authorizers: Authorizers, person: Person, sandbox: RunningSandbox
) -> None:
    """Trouble of the platform never ends an account."""
    [profile] = await _connect(authorizers[platform], person)
    sandbox.arm({Platform.INSTAGRAM: "instagram.refresh"}.get(platform, "youtube.token"), **fault)

    with pytest.raises(AuthorizationFailed) as refused:
        await authorizers[platform].refresh(profile.tokens)

    assert refused.value.failure.kind is FailureKind.RETRY
    assert refused.value.code is ErrorCode.PLATFORM_ERROR


async def test_facebook_token_cannot_be_refreshed(authorizers: Authorizers, person: Person) -> None:
    """There is no such call: the person connects again."""
    profiles = await _connect(authorizers[Platform.FACEBOOK], person)

    with pytest.raises(AuthorizationFailed) as refused:
        await authorizers[Platform.FACEBOOK].refresh(profiles[0].tokens)

    assert refused.value.failure.kind is FailureKind.RECONNECT


@pytest.mark.parametrize("platform", Platform)
async def test_code_is_good_once(platform: Platform, authorizers: Authorizers, person: Person) -> None:
    """A used code and an invented one are refused alike, without a word of the code or the secret."""
    authorizer = authorizers[platform]
    link = authorizer.authorize_url(redirect_uri=REDIRECT, state="s", code_challenge=CHALLENGE)
    code = person.answer(link, platform)["code"]
    await authorizer.exchange(redirect_uri=REDIRECT, code=code, code_verifier=VERIFIER)

    for bad in (code, "AQinvented"):
        with pytest.raises(AuthorizationFailed) as refused:
            await authorizer.exchange(redirect_uri=REDIRECT, code=bad, code_verifier=VERIFIER)
        assert refused.value.failure.kind is FailureKind.RECONNECT
        assert bad not in str(refused.value)
        assert "crier-sandbox-secret" not in repr(refused.value.failure)


async def test_google_code_needs_its_proof_key(authorizers: Authorizers, person: Person) -> None:
    """A stolen code is worth nothing."""
    authorizer = authorizers[Platform.YOUTUBE]
    link = authorizer.authorize_url(redirect_uri=REDIRECT, state="s", code_challenge=CHALLENGE)
    code = person.answer(link, Platform.YOUTUBE)["code"]

    with pytest.raises(AuthorizationFailed):
        await authorizer.exchange(redirect_uri=REDIRECT, code=code, code_verifier="another")


@pytest.mark.parametrize("platform", Platform)
async def test_person_can_say_no(platform: Platform, authorizers: Authorizers, person: Person) -> None:
    """The address one is sent back to says so, and has no code."""
    link = authorizers[platform].authorize_url(redirect_uri=REDIRECT, state="s", code_challenge=CHALLENGE)

    answered = person.answer(link, platform, decision="cancel")

    assert answered["error"] == "access_denied"
    assert "code" not in answered


async def test_facebook_permission_that_was_declined_is_named(authorizers: Authorizers, person: Person) -> None:
    """Without it nothing could be published: better told now."""
    authorizer = authorizers[Platform.FACEBOOK]
    link = authorizer.authorize_url(redirect_uri=REDIRECT, state="s", code_challenge=CHALLENGE)
    less = link.replace("pages_manage_posts%2C", "")
    code = person.answer(less, Platform.FACEBOOK)["code"]

    with pytest.raises(AuthorizationFailed, match="pages_manage_posts") as refused:
        await authorizer.exchange(redirect_uri=REDIRECT, code=code, code_verifier=VERIFIER)

    assert refused.value.failure.kind is FailureKind.PERMISSION


@pytest.mark.parametrize("platform", Platform)
async def test_nothing_secret_is_logged_on_the_way(
    platform: Platform,
    configs: Mapping[Platform, PlatformConfig],
    http: httpx.AsyncClient,
    person: Person,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Codes, secrets and tokens travel in queries here, and libraries log addresses."""
    caplog.set_level("DEBUG")
    authorizer = build_authorizers(http=http, configs=configs, now=now)[platform]
    link = authorizer.authorize_url(redirect_uri=REDIRECT, state="s", code_challenge=CHALLENGE)
    code = person.answer(link, platform)["code"].removesuffix("#_")
    caplog.clear()

    profiles = await authorizer.exchange(redirect_uri=REDIRECT, code=code, code_verifier=VERIFIER)

    logged = "".join(record.getMessage() for record in caplog.records)
    assert urlsplit(configs[platform].hosts.token).path in logged
    tokens = [token for one in profiles for token in (one.tokens.access, one.tokens.refresh) if token]
    for secret in (code, VERIFIER, "crier-sandbox-secret", *tokens):
        assert secret not in logged
        assert secret not in repr(profiles) + repr(configs)
