"""Public addresses of uploads: whoever has one may fetch the file, for as long as its signature holds.

`{base}/media/{upload}/{file name}?expires={unix time}&signature={HMAC-SHA256 of path and time, base64url}`
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from services.domain.ids import Kind, encode_id
from services.domain.uploads import Upload

PREFIX = "/media"

LINK_LIFE = timedelta(days=6 * 366)
"""Longer than a post can lie ahead; addresses are signed anew when they are handed to a platform."""

_PURPOSE = b"crier media links 1"
"""Keys of their own are derived for this: a signature tells nothing about, and serves nothing but, media links."""


class MediaLinks:
    """Signs with the first key and believes all of them, so that keys can be exchanged."""

    def __init__(self, *, base_url: str, keys: Sequence[str], lifetime: timedelta, now: Callable[[], datetime]) -> None:
        self._base_url = base_url.rstrip("/")
        self._keys = [hmac.digest(key.encode(), _PURPOSE, hashlib.sha256) for key in keys]
        self._lifetime = lifetime
        self._now = now

    def public_url(self, upload: Upload) -> str:
        """An address of the upload that works from now on for `lifetime`."""
        return self._sign(f"{PREFIX}/{encode_id(Kind.UPLOAD, upload.id)}/{upload.file_name}")

    def renew(self, url: str) -> str:
        """An address that `public_url` once gave, working from now on; any other address as it is.

        Only for addresses that Crier itself stored beside an upload: the old signature is not looked at.
        """
        _, found, rest = urlsplit(url).path.partition(f"{PREFIX}/")
        return self._sign(f"{PREFIX}/{rest}") if found else url

    def holds(self, *, path: str, expires: str, signature: str) -> bool:
        """Whether we signed this address and its time is not over."""
        if not (expires.isascii() and expires.isdigit() and len(expires) <= 12 and signature.isascii()):
            return False
        is_ours = [hmac.compare_digest(_signature(key, path, expires), signature) for key in self._keys]
        return any(is_ours) and int(expires) > self._now().timestamp()

    def _sign(self, path: str) -> str:
        expires = str(int((self._now() + self._lifetime).timestamp()))
        return f"{self._base_url}{path}?expires={expires}&signature={_signature(self._keys[0], path, expires)}"


def _signature(key: bytes, path: str, expires: str) -> str:
    digest = hmac.digest(key, f"{path}\n{expires}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
