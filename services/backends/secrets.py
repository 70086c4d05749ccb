"""Secrets at rest: sealed so that they open only with our keys and only in the place they were sealed for.

AES-256-GCM. Each configured string gives, by HKDF-SHA256 (RFC 5869, no salt), a key and a public 4-byte name for it, so
a configured string should hold at least 128 bits of randomness. A sealed secret is

    1 byte version | 4 bytes name of the key | 12 bytes nonce | ciphertext and tag

and the place is authenticated with it: a secret that is copied to another row or column does not open there. Nonces are
random, which is sound for 2^32 secrets per key (NIST SP 800-38D, 8.3); rotation starts anew.
"""

import secrets
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.backends.ciphers import Cipher

_VERSION = b"\x01"
_NAME_BYTES = 4
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _NAME_BYTES


class SecretDamaged(Exception):
    """A sealed secret does not open: sealed for another place, by a key we do not have, or altered."""


class SecretBox:
    """Seals with the first key, opens with any; says nothing of what it holds, not in errors either."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or not all(keys):
            raise ValueError("SecretBox needs at least one key, and none may be empty")
        self._keys = tuple(keys)

    def seal(self, text: str, *, place: str) -> bytes:
        """Encrypt for one place, written `table|row|column`."""
        header = _VERSION + self._current
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return header + nonce + self._ciphers[self._current].encrypt(nonce, text.encode(), _bound(header, place))

    def open(self, blob: bytes, *, place: str) -> str:
        """Decrypt what was sealed for this place. Raises SecretDamaged."""
        header, nonce = blob[:_HEADER_BYTES], blob[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        if not header.startswith(_VERSION) or len(nonce) < _NONCE_BYTES:
            raise SecretDamaged(f"the secret at {place} is in no format we know")
        cipher = self._ciphers.get(header[len(_VERSION) :])
        if cipher is None:
            raise SecretDamaged(f"the secret at {place} was sealed with a key that is not configured")
        text = cipher.decrypt(nonce, blob[_HEADER_BYTES + _NONCE_BYTES :], _bound(header, place))
        if text is None:
            raise SecretDamaged(f"the secret at {place} was sealed for another place, or altered")
        return text.decode()

    def needs_rotation(self, blob: bytes) -> bool:
        """Whether another key than the first sealed this."""
        return blob[:_HEADER_BYTES] != _VERSION + self._current

    @cached_property
    def _ciphers(self) -> dict[bytes, "Cipher"]:
        from services.backends.ciphers import Cipher  # a process that seals and opens nothing need not carry it

        ciphers = [Cipher(key, name_bytes=_NAME_BYTES) for key in self._keys]
        return {cipher.name: cipher for cipher in ciphers}

    @property
    def _current(self) -> bytes:
        return next(iter(self._ciphers))


def _bound(header: bytes, place: str) -> bytes:
    return header + place.encode()
