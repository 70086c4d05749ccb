"""API keys as their owners hold them: `crier_<32 hex of id>_<64 hex of secret>`.

The id finds the key, the secret proves it. The secret is 256 random bits, so its plain SHA-256 is all that is stored:
there is nothing to guess, hence nothing that a slow hash would slow down.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from services.domain.ids import new_id

_SHAPE = re.compile(r"crier_([0-9a-f]{32})_([0-9a-f]{64})")
_SECRET_BYTES = 32


class MintedKey(NamedTuple):
    """A new API key: the token is shown to its owner once, the hash is stored."""

    token: str
    key_id: UUID
    secret_hash: bytes


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """An API key as a request brings it."""

    key_id: UUID
    secret_hash: bytes

    def matches(self, secret_hash: bytes) -> bool:
        """Whether this is the secret of the stored key; takes the same time whatever the answer."""
        return hmac.compare_digest(self.secret_hash, secret_hash)


def mint_api_key() -> MintedKey:
    """A key that nobody has seen before."""
    key_id, secret = new_id(), secrets.token_hex(_SECRET_BYTES)
    return MintedKey(f"crier_{key_id.hex}_{secret}", key_id, _hash(secret))


def read_api_key(token: str) -> PresentedKey | None:
    """The key that a bearer token is; None for anything that `mint_api_key` could not have made."""
    match = _SHAPE.fullmatch(token)
    if match is None:
        return None
    return PresentedKey(UUID(hex=match[1]), _hash(match[2]))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()
