"""The bytes of a medium from where they lie, a bounded piece at a time, for platforms that do not fetch them.

Pieces are asked for by `Range`; a server that does not know it is read from the beginning and what comes before is
thrown away. Trouble here is the medium's, never the platform's: it must not open the platform's circuit breaker.
"""

import asyncio
import re
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

import httpx

from services.backends.public_http import AddressRefused
from services.domain.errors import ErrorCode
from services.domain.publishing import FailureKind
from services.providers.failures import UNREACHABLE, NotDone, Rule, not_done

READ_TIMEOUT = timedelta(seconds=60)
AWAY = Rule(FailureKind.WAIT, ErrorCode.MEDIA_UNREACHABLE, wait=timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a server says of a medium; `size` in bytes."""

    size: int
    content_type: str
    etag: str | None = None
    """By which pieces are known to be of the same file; None where the server has no such word (RFC 9110, 8.8.3)."""

    def is_same(self, *, size: int, etag: str | None) -> bool:
        """Whether this may be said of the file of which that was said before."""
        return self.size == size and etag in (None, self.etag or etag)


class MediaSource:
    """Reads media over HTTP. `http` is where private addresses are refused, on every hop: redirects are followed."""

    def __init__(self, *, http: httpx.AsyncClient, timeout: timedelta = READ_TIMEOUT) -> None:
        self._http = http
        self._timeout = timeout.total_seconds()

    async def measure(self, url: str) -> MediaFacts | NotDone:
        """The size and type of a medium; asked with GET, because a signed URL allows nothing else."""
        try:
            async with asyncio.timeout(self._timeout), self._ask(url, begin=0, length=1) as response:
                return _facts_of(response)
        except AddressRefused:
            return not_done(UNREACHABLE, "The medium's address is not a public one.")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
            return _away(type(failure).__name__)

    async def read(self, url: str, *, begin: int, length: int, size: int, etag: str | None = None) -> bytes | NotDone:
        """Exactly `length` bytes from `begin` on, of a medium that must still be the one that was measured."""
        try:
            async with asyncio.timeout(self._timeout), self._ask(url, begin=begin, length=length) as response:
                facts = _facts_of(response)
                if isinstance(facts, NotDone):
                    return facts
                if not facts.is_same(size=size, etag=etag):
                    return not_done(UNREACHABLE, "The medium was replaced by another while it was being uploaded.")
                content = await _take(response, skip=begin if response.status_code == 200 else 0, length=length)
        except AddressRefused:
            return not_done(UNREACHABLE, "The medium's address is not a public one.")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
            return _away(type(failure).__name__)
        return content if len(content) == length else _away("it ended early")

    def _ask(self, url: str, *, begin: int, length: int) -> AbstractAsyncContextManager[httpx.Response]:
        headers = {"Range": f"bytes={begin}-{begin + length - 1}", "Accept-Encoding": "identity"}
        return self._http.stream("GET", url, headers=headers, follow_redirects=True, timeout=self._timeout)


def _facts_of(response: httpx.Response) -> MediaFacts | NotDone:
    if response.status_code >= 500 or response.status_code == 429:
        return _away(f"HTTP {response.status_code}")
    if response.status_code == 206:
        told = re.fullmatch(r"bytes \d+-\d+/(\d+)", response.headers.get("content-range", ""))
        size = int(told[1]) if told else 0
    elif response.status_code == 200:
        length = response.headers.get("content-length", "")
        size = int(length) if length.isascii() and length.isdigit() else 0
    else:
        return not_done(UNREACHABLE, f"The medium could not be read: HTTP {response.status_code}.")
    if size == 0:
        return not_done(UNREACHABLE, "The medium is empty, or its server does not say how long it is.")
    etag = response.headers.get("etag", "W/")
    return MediaFacts(
        size,
        response.headers.get("content-type", "application/octet-stream"),
        None if etag.startswith("W/") else etag,  # a weak one may be that of other bytes, too
    )


async def _take(response: httpx.Response, *, skip: int, length: int) -> bytes:
    taken = bytearray()
    async for piece in response.aiter_bytes():
        taken += piece[skip:]
        skip = max(0, skip - len(piece))
        if len(taken) >= length:
            break
    return bytes(taken[:length])


def _away(why: str) -> NotDone:
    return not_done(AWAY, f"The medium could not be read: {why}.")
