"""HTTP to addresses that strangers chose, without letting them reach what is ours (server-side request forgery).

The check sits where connections are made, so nothing gets around it: each host is resolved once, every address of the
answer must be public, and the connection goes to one of exactly these. A redirect makes a connection of its own and is
checked by that. TLS still verifies the host's name.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpcore
import httpx

from services.domain.addresses import is_public

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]

MOST_REDIRECTS = 5
MOST_CONNECTIONS = 50


class AddressRefused(httpx.TransportError):
    """A URL leads to an address that is not public; no connection was made."""


class PublicTransport(httpx.AsyncHTTPTransport):
    """Connects to public addresses alone. Environment variables for proxies are not looked at."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        is_allowed: Callable[[Address], bool] = is_public,
        resolve: Resolve | None = None,
    ) -> None:
        """`tls` says whom to trust; without it those whom httpx trusts."""
        tls = tls or httpx.create_ssl_context()
        super().__init__(verify=tls)
        # httpx lets nobody choose how its pool connects, so it gets another pool.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=MOST_CONNECTIONS,
            network_backend=_CheckedBackend(is_allowed=is_allowed, resolve=resolve or resolve_host),
        )


def open_media_http(
    *, transport: httpx.AsyncBaseTransport, own_url: str, tls: ssl.SSLContext | None = None
) -> httpx.AsyncClient:
    """A client for the media that people's URLs name.

    `transport` is a `PublicTransport`, or in development, where the sandbox is on loopback, an ordinary one. Files
    that Crier itself serves at `own_url` are always reachable: that name may well resolve to an inner address.
    """
    own = {own_url: httpx.AsyncHTTPTransport(verify=tls or True)}
    return httpx.AsyncClient(transport=transport, mounts=own, max_redirects=MOST_REDIRECTS, trust_env=False)


async def resolve_host(host: str, port: int) -> Sequence[Address]:
    """What the system's resolver says, in its order; an address stands for itself. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(sockaddr[0]) for *_, sockaddr in found]


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, *, is_allowed: Callable[[Address], bool], resolve: Resolve) -> None:
        self._is_allowed = is_allowed
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 — httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of the host's addresses, if all of them are allowed."""
        try:
            async with asyncio.timeout(timeout):
                return await self._connect(host, port, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no connection to {host} in time") from error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 — httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never: a socket file is ours."""
        raise AddressRefused("socket files are not public")

    async def sleep(self, seconds: float) -> None:
        """Between tries to connect, of which there are none."""
        await asyncio.sleep(seconds)

    async def _connect(
        self,
        host: str,
        port: int,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await self._addresses_of(host, port):
            try:
                return await self._network.connect_tcp(
                    str(address), port, local_address=local_address, socket_options=socket_options
                )
            except httpcore.ConnectError as error:
                failure = error
        raise failure

    async def _addresses_of(self, host: str, port: int) -> Sequence[Address]:
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        for address in addresses:
            if not self._is_allowed(address):
                raise AddressRefused(f"{host} leads to {address}, which is not a public address")
        return addresses
