"""JSON Web Tokens of somebody else's making: whom they name, and until when.

Which algorithms count is fixed by the kind of key, never by the token: HS256 for a shared secret, public-key signatures
for a JWKS. Issuer, audience, expiry and subject have to be there and right.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey
from joserfc.jws import extract_compact

from services.domain.errors import Unauthenticated, Unavailable, Unproven
from services.domain.viewers import Scope

_log = structlog.get_logger(__name__)

_LONGEST_TOKEN = 8_192
_SHARED = ("HS256",)
_PUBLIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_SCOPES = {"read": Scope.READ, "write": Scope.WRITE, "admin": Scope.ADMIN}


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says."""

    subject: str
    scope: Scope
    expires_at: datetime


class Keys(Protocol):
    """Where the keys come from that tokens are signed with."""

    algorithms: tuple[str, ...]

    async def find(self, key_id: str | None) -> OctKey | KeySet:
        """The key, or the set that holds it if anything does; `key_id` is what the token names."""
        ...


class SharedSecret:
    """One secret that the issuer knows too."""

    algorithms: tuple[str, ...] = _SHARED

    def __init__(self, secret: str) -> None:
        self._key = OctKey.import_key(secret)

    async def find(self, key_id: str | None) -> OctKey:
        """The one there is."""
        return self._key


class PublishedKeys:
    """A JWKS behind a URL or in a file: kept for `kept_for` seconds, and read again when a token names an unknown key.

    It is never read more often than every `cooldown` seconds, however many tokens name keys that do not exist; while
    it cannot be read, the keys known so far go on serving.
    """

    algorithms: tuple[str, ...] = _PUBLIC

    def __init__(
        self,
        *,
        location: str,
        client: httpx.AsyncClient,
        clock: Callable[[], float] = time.monotonic,
        kept_for: float = 600.0,
        cooldown: float = 30.0,
    ) -> None:
        self._location = location
        self._client = client
        self._clock = clock
        self._kept_for = kept_for
        self._cooldown = cooldown
        self._keys: KeySet | None = None
        self._read_at = -math.inf
        self._tried_at = -math.inf
        self._reading = asyncio.Lock()

    async def find(self, key_id: str | None) -> KeySet:
        """The set, read again if it is old or does not hold this key. Raises Unavailable where none was ever read."""
        if self._needs_reading(key_id):
            async with self._reading:
                if self._needs_reading(key_id):
                    await self._read()
        if self._keys is None:
            raise Unavailable("The keys that tokens are checked with cannot be read.", retry_after=self._cooldown)
        return self._keys

    def _needs_reading(self, key_id: str | None) -> bool:
        now = self._clock()
        if now - self._tried_at < self._cooldown:
            return False
        is_old = now - self._read_at >= self._kept_for
        is_unknown = key_id is not None and (self._keys is None or all(key.kid != key_id for key in self._keys.keys))
        return is_old or is_unknown

    async def _read(self) -> None:
        try:
            self._keys = KeySet.import_key_set(orjson.loads(await self._fetch()))
            self._read_at = self._clock()
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, JoseError) as error:
            _log.warning("JWKS cannot be read", location=self._location, reason=repr(error))
        self._tried_at = self._clock()  # only now: who comes meanwhile has to wait for what was read

    async def _fetch(self) -> bytes:
        if not self._location.startswith(("http://", "https://")):
            return await asyncio.to_thread(Path(self._location.removeprefix("file://")).read_bytes)
        response = await self._client.get(self._location, timeout=5.0)
        return response.raise_for_status().content


class JwtVerifier:
    """Reads tokens of one issuer for one audience."""

    def __init__(self, *, keys: Keys, issuer: str, audience: str, now: Callable[[], datetime]) -> None:
        self._keys = keys
        self._rules = jwt.JWTClaimsRegistry(
            now=lambda: int(now().timestamp()),
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    async def verify(self, token: str) -> Claims:
        """What the token says. Raises Unauthenticated, without saying why, or Unavailable."""
        if len(token) > _LONGEST_TOKEN or token.count(".") != 2:
            raise Unproven("The token is not valid.")
        key = await self._keys.find(_read_key_id(token))
        try:
            claims = jwt.decode(token, key, algorithms=list(self._keys.algorithms)).claims
        except (JoseError, ValueError, KeyError, TypeError, OverflowError, OSError) as error:
            raise Unproven("The token is not valid.") from error
        try:
            self._rules.validate(claims)
            _check_text(claims["sub"])
            return Claims(claims["sub"], _read_scope(claims), datetime.fromtimestamp(claims["exp"], UTC))
        except (JoseError, ValueError, KeyError, TypeError, OverflowError, OSError) as error:
            raise Unauthenticated("The token is not valid.") from error


def _read_key_id(token: str) -> str | None:
    """The key that the token names, before anything in it is believed."""
    try:
        key_id = extract_compact(token.encode("ascii")).headers().get("kid")
    except (JoseError, ValueError, TypeError):
        raise Unproven("The token is not valid.") from None
    return key_id if isinstance(key_id, str) else None


def _check_text(subject: str) -> None:
    """Raise ValueError for what the database cannot even be asked for: it is asked for many together."""
    if b"\0" in subject.encode():
        raise ValueError


def _read_scope(claims: dict[str, Any]) -> Scope:
    """The widest scope that the space-separated `scope` claim holds; reading, where it holds none of ours."""
    words = str(claims.get("scope", "")).split()
    return max((_SCOPES[word] for word in words if word in _SCOPES), default=Scope.READ)
