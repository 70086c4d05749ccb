"""AES-256-GCM as cryptography does it, which takes 8 MB: import this where something is sealed or opened."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Cipher:
    """What one configured string gives by HKDF-SHA256 (RFC 5869, no salt): a key, and a public name for it."""

    def __init__(self, configured: str, *, name_bytes: int) -> None:
        self.name = _derive(configured, b"name", name_bytes)
        self._cipher = AESGCM(_derive(configured, b"key", 32))

    def encrypt(self, nonce: bytes, text: bytes, bound: bytes) -> bytes:
        """Ciphertext and tag; `bound` is authenticated with it."""
        return self._cipher.encrypt(nonce, text, bound)

    def decrypt(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes | None:
        """The text; None where it was encrypted under something else, or altered."""
        try:
            return self._cipher.decrypt(nonce, sealed, bound)
        except InvalidTag:
            return None


def _derive(configured: str, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=b"crier secret box 1 " + purpose).derive(
        configured.encode()
    )
