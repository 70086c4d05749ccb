"""JSON Web Tokens: only the right key, algorithm, issuer, audience and time will do."""

import asyncio
import base64
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.auth import Authenticator
from app.jwts import JwtVerifier, Keys, PublishedKeys, SharedSecret
from services.backends.database import Database
from services.domain.errors import Unauthenticated, Unavailable
from services.domain.viewers import Role, Scope
from tests.faulty import network_before_postgres, through

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "a secret of at least thirty-two characters"
SHARED = OctKey.import_key(SECRET)
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "alg": "RS256"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1", "alg": "ES256"})

Serve = Callable[[ASGIApp], Awaitable[str]]


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims, changed; None leaves one out."""
    good = {"iss": "https://issuer", "aud": "crier", "sub": "ada@issuer", "exp": int(NOW.timestamp()) + 60}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(payload: dict[str, Any], key: Any = SHARED, **header: Any) -> str:
    """A token."""
    return jwt.encode({"alg": "HS256"} | header, payload, key, algorithms=["HS256", "RS256", "ES256", "HS512"])


def verifier(keys: Keys) -> JwtVerifier:
    """As the product has it."""
    return JwtVerifier(keys=keys, issuer="https://issuer", audience="crier", now=lambda: NOW)


class Issuer:
    """Publishes keys over HTTP, and counts how often it is asked."""

    def __init__(self) -> None:
        self.keys: list[Any] = [RSA]
        self.asked = 0
        self.works = True

    def app(self) -> Starlette:
        """What it serves."""

        async def publish(request: Request) -> Response:
            self.asked += 1
            if not self.works:
                return Response("gone", 500)
            return JSONResponse(KeySet(self.keys).as_dict(private=False))

        return Starlette(routes=[Route("/keys", publish)])


async def test_good_token_names_subject_scope_and_end() -> None:
    """The widest scope counts, reading where there is none of ours."""
    checked = verifier(SharedSecret(SECRET))
    for scope, meaning in (
        (None, Scope.READ),
        ("", Scope.READ),
        ("openid profile", Scope.READ),
        ("read write", Scope.WRITE),
        ("admin read", Scope.ADMIN),
    ):
        said = await checked.verify(signed(claims(scope=scope)))
        assert (said.subject, said.scope, said.expires_at.timestamp()) == (
            "ada@issuer",
            meaning,
            NOW.timestamp() + 60,
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"aud": []},
        {"exp": int(NOW.timestamp()) - 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 10**20},
        {"nbf": int(NOW.timestamp()) + 30},
        {"sub": None},
        {"sub": 7},
        {"sub": "ada\0"},
    ],
)
async def test_token_with_a_wrong_claim_is_refused(changes: dict[str, Any]) -> None:
    """Each of them has to be there and right."""
    with pytest.raises(Unauthenticated):
        await verifier(SharedSecret(SECRET)).verify(signed(claims(**changes)))


def self_made(header: dict[str, Any], payload: dict[str, Any], *, secret: bytes = b"") -> str:
    """A token that no careful library would make; without a secret, without a signature."""
    content = b".".join(unpadded(json.dumps(part).encode()) for part in (header, payload))
    signature = unpadded(hmac.digest(secret, content, "sha256")) if secret else b""
    return f"{content.decode()}.{signature.decode()}"


async def test_subject_that_is_no_text_is_refused() -> None:
    """JSON can spell half a character, which nothing can be asked for by."""
    token = self_made({"alg": "HS256"}, claims(sub="\ud800"), secret=SECRET.encode())
    with pytest.raises(Unauthenticated):
        await verifier(SharedSecret(SECRET)).verify(token)


def unpadded(data: bytes) -> bytes:
    """Base64 as tokens have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@pytest.mark.parametrize(
    "token",
    [
        self_made({"alg": "none"}, claims()),
        signed(claims(), OctKey.import_key("another secret that is long enough too")),
        signed(claims(), OctKey.import_key(SECRET * 2), alg="HS512"),
        signed(claims(), RSA, alg="RS256", kid="rsa-1"),
        signed(claims())[:-2],
        "a.b.c",
        "..",
        "é.é.é",
        "x" * 10_000,
        "",
    ],
)
async def test_forged_token_is_refused(token: str) -> None:
    """By another key, another algorithm, none at all, or nonsense."""
    with pytest.raises(Unauthenticated):
        await verifier(SharedSecret(SECRET)).verify(token)


async def test_published_keys_verify_by_their_ids(serve: Serve) -> None:
    """RSA and EC beside each other; read once for many tokens."""
    issuer = Issuer()
    issuer.keys = [RSA, EC]
    async with httpx.AsyncClient() as client:
        keys = PublishedKeys(location=f"{await serve(issuer.app())}/keys", client=client)
        checked = verifier(keys)
        await asyncio.gather(*(checked.verify(signed(claims(), RSA, alg="RS256", kid="rsa-1")) for _ in range(20)))
        await checked.verify(signed(claims(), EC, alg="ES256", kid="ec-1"))
        assert issuer.asked == 1


async def test_public_key_is_no_shared_secret(serve: Serve) -> None:
    """A token signed by HS256 with the public key's text, the other classic forgery."""
    issuer = Issuer()
    async with httpx.AsyncClient() as client:
        checked = verifier(PublishedKeys(location=f"{await serve(issuer.app())}/keys", client=client))
        forged = self_made({"alg": "HS256", "kid": "rsa-1"}, claims(), secret=RSA.as_pem(private=False))
        with pytest.raises(Unauthenticated):
            await checked.verify(forged)


async def test_rotated_key_is_found_and_forged_ids_cause_no_storm(serve: Serve) -> None:
    """An unknown id makes the set read again, but never twice within the cool-down."""
    issuer, time = Issuer(), [0.0]
    async with httpx.AsyncClient() as client:
        location = f"{await serve(issuer.app())}/keys"
        checked = verifier(PublishedKeys(location=location, client=client, clock=lambda: time[0]))
        await checked.verify(signed(claims(), RSA, alg="RS256", kid="rsa-1"))
        for n in range(50):
            with pytest.raises(Unauthenticated):
                await checked.verify(signed(claims(), EC, alg="ES256", kid=f"forged-{n}"))
        assert issuer.asked == 1
        issuer.keys = [EC]
        time[0] += 31
        await checked.verify(signed(claims(), EC, alg="ES256", kid="ec-1"))
        assert issuer.asked == 2


async def test_issuer_that_is_away_is_unavailable_at_first_and_missed_by_nobody_later(serve: Serve) -> None:
    """Keys that are known go on serving when they are old."""
    issuer, time = Issuer(), [0.0]
    good = signed(claims(), RSA, alg="RS256", kid="rsa-1")
    async with httpx.AsyncClient() as client:
        location = f"{await serve(issuer.app())}/keys"
        checked = verifier(PublishedKeys(location=location, client=client, clock=lambda: time[0]))
        issuer.works = False
        with pytest.raises(Unavailable):
            await checked.verify(good)
        issuer.works = True
        time[0] += 31
        await checked.verify(good)
        issuer.works = False
        time[0] += 3_600
        await checked.verify(good)
        assert issuer.asked == 3


async def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    """By its path or as a file URL."""
    file = tmp_path / "keys.json"
    file.write_bytes(orjson.dumps(KeySet([RSA]).as_dict(private=False)))
    async with httpx.AsyncClient() as client:
        for location in (str(file), file.as_uri()):
            checked = verifier(PublishedKeys(location=location, client=client))
            assert (await checked.verify(signed(claims(), RSA, alg="RS256", kid="rsa-1"))).subject == "ada@issuer"


async def test_subject_has_to_be_a_known_user(database: Database, a_key: Callable[..., Awaitable[str]]) -> None:
    """A valid token of a stranger is UNAUTHENTICATED."""
    await a_key(name="Ada")
    async with database.connect() as connection:
        await connection.execute(text("UPDATE users SET subject = 'ada@issuer'"))
    authenticator = Authenticator(database=database, jwts=verifier(SharedSecret(SECRET)), now=lambda: NOW)
    viewer = await authenticator.identify(f"Bearer {signed(claims(scope='write'))}")
    assert viewer is not None
    assert (viewer.user.name, viewer.scope, viewer.credential) == ("Ada", Scope.WRITE, "jwt")
    with pytest.raises(Unauthenticated):
        await authenticator.identify(f"Bearer {signed(claims(sub='stranger'))}")


async def test_operators_are_known_by_their_tokens_before_the_database_goes(
    database: Database, database_url: str, a_key: Callable[..., Awaitable[str]]
) -> None:
    """Also those who were never here. Other subjects are not, and a token alone makes nobody an operator."""
    await a_key(name="Op", role=Role.ADMIN)
    await a_key(name="Ada")
    async with database.connect() as connection:
        await connection.execute(text("UPDATE users SET subject = lower(name) || '@issuer'"))
    async with network_before_postgres(database_url) as network:
        pool = Database(url=through(database_url, network), pool_min=1, pool_max=1)
        await pool.open()
        authenticator = Authenticator(database=pool, jwts=verifier(SharedSecret(SECRET)), now=lambda: NOW)
        await authenticator.ask_again()
        network.hang()
        network.cut()
        for scope, is_admin in (("admin", True), ("write", False)):
            viewer = await authenticator.identify(f"Bearer {signed(claims(sub='op@issuer', scope=scope))}")
            assert viewer is not None
            assert (viewer.user.name, viewer.is_admin) == ("Op", is_admin)
        with pytest.raises(Unavailable):
            await authenticator.identify(f"Bearer {signed(claims(sub='ada@issuer', scope='admin'))}")
        network.heal()
        network.cut()
        await pool.close()
