"""One HTTP call to a platform, where a network that fails is a value and no secret gets into a log."""

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from services.domain.errors import ErrorCode
from services.domain.publishing import Failure, FailureKind
from services.providers.connections import KeptConnections
from services.providers.failures import NotDone
from services.providers.shapes import objects_in

CALL_TIMEOUT = timedelta(seconds=30)
CONNECT_TIMEOUT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(days=1)
"""What a platform's headers ask for beyond this is taken for a mistake."""

_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, whatever its status; `data` is its JSON object, empty where it is none."""

    status: int
    headers: httpx.Headers
    data: Mapping[str, Any]

    @property
    def is_success(self) -> bool:
        """Whether the status says so."""
        return 200 <= self.status < 300


class Wire:
    """Makes calls on a shared `httpx.AsyncClient`, each under a limit of its own; follows no redirects."""

    def __init__(self, *, http: httpx.AsyncClient, timeout: timedelta = CALL_TIMEOUT) -> None:
        self._http = http
        self._limit = timeout.total_seconds()
        # The client would put each request together from its own defaults, address, cookies and all; these are enough.
        self._headers = dict(http.headers)
        self._options = {"timeout": httpx.Timeout(self._limit, connect=CONNECT_TIMEOUT.total_seconds()).as_dict()}

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: Any = None,
        content: bytes | None = None,
    ) -> Reply | NotDone:
        """The answer, or why there is none; `body` is sent as JSON, `form` as a form, `content` as it is."""
        try:
            request = httpx.Request(
                method,
                url,
                headers={**self._headers, **(headers or {})},
                params=params,
                data=form,
                json=body,
                content=content,
                extensions=self._options,
            )
            async with asyncio.timeout(self._limit):
                response = await self._http.send(request, follow_redirects=False)
        except _NEVER_LEFT as failure:
            return _unsent(failure)
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as failure:
            return _unanswered(failure)
        return Reply(response.status_code, response.headers, _object_in(response.content))


def told_wait(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long the platform asks us to stay away: `Retry-After`, or Meta's estimate for a business use case."""
    waits = [wait for wait in (_retry_after(headers, now), _regain_access(headers)) if wait is not None]
    return min(max(waits), LONGEST_WAIT) if waits else None


def open_http(*, tls: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """A client for all platforms: as many connections as there are calls, and request lines without their query.

    `tls` says whom to trust; without it those whom httpx trusts.
    """
    logging.getLogger("httpx").addFilter(hide_query)
    connections = KeptConnections(tls=tls or httpx.create_ssl_context())
    return httpx.AsyncClient(transport=connections, trust_env=False)


def hide_query(record: logging.LogRecord) -> bool:
    """A filter for httpx's log of requests: OAuth puts codes, secrets and tokens into the query."""
    if isinstance(record.args, tuple):
        record.args = tuple(arg.copy_with(query=None) if isinstance(arg, httpx.URL) else arg for arg in record.args)
    return True


# Neither names the exception's text nor keeps the exception: both may hold the URL and the headers.
def _unsent(failure: Exception) -> NotDone:
    message = f"No connection to the platform ({type(failure).__name__})."
    return NotDone(
        Failure(FailureKind.RETRY, ErrorCode.PLATFORM_ERROR, message, left=False), is_certain=True, was_answered=False
    )


def _unanswered(failure: Exception) -> NotDone:
    message = f"The platform took the request and gave no answer ({type(failure).__name__})."
    return NotDone(Failure(FailureKind.RETRY, ErrorCode.PLATFORM_ERROR, message), is_certain=False, was_answered=False)


def _object_in(content: bytes) -> Mapping[str, Any]:
    try:
        decoded = json.loads(content)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text), LONGEST_WAIT.total_seconds()))
    try:
        return max(parsedate_to_datetime(text) - now, timedelta(0))
    except (ValueError, TypeError):
        return None


def _regain_access(headers: Mapping[str, str]) -> timedelta | None:
    usage = _object_in(headers.get("x-business-use-case-usage", "").encode())
    told = [entry.get("estimated_time_to_regain_access") for uses in usage.values() for entry in objects_in(uses)]
    minutes = max((minutes for minutes in told if isinstance(minutes, int)), default=0)
    return timedelta(minutes=min(minutes, 24 * 60)) if minutes > 0 else None
