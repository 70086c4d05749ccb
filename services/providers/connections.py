"""Connections to the platforms, kept open between calls: httpcore speaks the protocol, this says which one it uses.

The one that was free last goes first. httpcore's own pool looks at every idle connection's socket for each request, and
again when it ends: with twenty posts under way that cost as much as the requests themselves.
"""

import asyncio
import ssl
from collections import defaultdict
from datetime import timedelta

import httpcore
import httpx

KEPT_FOR = timedelta(seconds=30)
KEPT_AT_MOST = 50
"""Idle connections to one host."""


class KeptConnections(httpx.AsyncBaseTransport):
    """A transport for small answers, which are read whole; without a proxy, HTTP/1.1."""

    def __init__(self, *, tls: ssl.SSLContext) -> None:
        """`tls` says whom to trust."""
        self._tls = tls
        self._idle: defaultdict[bytes, list[httpcore.AsyncHTTPConnection]] = defaultdict(list)
        """By `_key_of` their origin: httpcore's own class cannot be a key."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One call over a connection of its own; whatever fails is told as httpx tells it."""
        url = request.url
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("Neither http:// nor https://.", request=request)
        asked = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            return await self._send(asked)
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as failure:
            raise _named_alike(failure)(str(failure), request=request) from failure

    async def aclose(self) -> None:
        """Close what is idle; what is in use closes with its call."""
        for connections in self._idle.values():
            while connections:
                await connections.pop().aclose()

    async def _send(self, request: httpcore.Request) -> httpx.Response:
        connection = await self._take(request.url.origin)
        try:
            answer = await connection.handle_async_request(request)
            content = await answer.aread()
            await answer.aclose()
        except BaseException:
            await asyncio.shield(connection.aclose())
            raise
        if connection.is_available():
            self._idle[_key_of(request.url.origin)].append(connection)
        return httpx.Response(answer.status, headers=answer.headers, stream=httpx.ByteStream(content))

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        """What has waited too long at the other end of the row is let go here: with an answer in hand nothing is
        waited for."""
        idle = self._idle[_key_of(origin)]
        while idle and (len(idle) > KEPT_AT_MOST or idle[0].has_expired()):
            await idle.pop(0).aclose()
        while idle:
            connection = idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return httpcore.AsyncHTTPConnection(origin, ssl_context=self._tls, keepalive_expiry=KEPT_FOR.total_seconds())


def _key_of(origin: httpcore.Origin) -> bytes:
    return b"%b://%b:%d" % (origin.scheme, origin.host, origin.port)


def _named_alike(failure: Exception) -> type[httpx.TransportError]:
    """The same error has the same name in httpx."""
    kind: type[httpx.TransportError] = getattr(httpx, type(failure).__name__)
    return kind
