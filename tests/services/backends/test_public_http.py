"""Fetching what strangers name: real connections on loopback, where only some addresses count as public."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from services.backends.public_http import Address, AddressRefused, PublicTransport, open_media_http, resolve_host
from tests.serving import served

PUBLIC = ip_address("127.0.0.1")
PRIVATE = ip_address("127.0.0.2")


class Site:
    """A site that says who was asked for, or sends one elsewhere."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def app(self) -> Starlette:
        """The site as an application."""
        return Starlette(routes=[Route("/{path:path}", self.answer)])

    async def answer(self, request: Request) -> Response:
        """One request."""
        self.asked.append(request.headers["host"])
        to = "/loop" if request.url.path == "/loop" else request.query_params.get("to")
        return RedirectResponse(to) if to else PlainTextResponse("a picture")


class Names:
    """A resolver whose answers the test writes; the last one stays."""

    def __init__(self, *answers: Sequence[Address]) -> None:
        self.answers = list(answers)
        self.questions = 0

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """The next answer."""
        self.questions += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def a_client(names: Names | None = None) -> httpx.AsyncClient:
    """A client for which 127.0.0.1 is the public internet."""
    transport = PublicTransport(is_allowed=lambda address: address == PUBLIC, resolve=names.resolve if names else None)
    return httpx.AsyncClient(transport=transport, follow_redirects=True)


async def test_public_address_is_fetched_under_its_own_name() -> None:
    """The server sees the name that was asked for, on the address that was checked."""
    site = Site()
    async with served(site.app()) as origin, a_client(Names([PUBLIC])) as client:
        port = httpx.URL(origin).port
        answer = await client.get(f"http://pictures.example:{port}/a.jpg")

    assert answer.text == "a picture"
    assert site.asked == [f"pictures.example:{port}"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2:{port}/", "http://[::1]:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://0.0.0.0:{port}/",
        "http://localhost.localdomain:{port}/", "http://2130706434:{port}/", "http://0x7f.2:{port}/",
    ],
)  # fmt: skip
async def test_private_address_is_refused_however_it_is_written(url: str) -> None:
    """The address counts that the system would connect to, not its spelling."""
    site = Site()
    async with served(site.app(), host="0.0.0.0") as origin, a_client() as client:
        with pytest.raises((AddressRefused, httpx.ConnectError)):
            await client.get(url.format(port=httpx.URL(origin).port))

    assert site.asked == []


async def test_name_with_one_private_address_is_refused_whole() -> None:
    """No picking among the answers: a public one beside a private one is an attack or a mistake."""
    site = Site()
    async with served(site.app()) as origin, a_client(Names([PUBLIC, PRIVATE])) as client:
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.2"):
            await client.get(f"http://both.example:{httpx.URL(origin).port}/")

    assert site.asked == []


async def test_redirect_to_a_private_address_is_refused() -> None:
    """Each hop is a connection, and each connection is checked."""
    site, inner = Site(), Site()
    async with (
        served(site.app()) as origin,
        served(inner.app(), host=str(PRIVATE)) as inside,
        a_client() as client,
    ):
        with pytest.raises(AddressRefused):
            await client.get(f"{origin}/", params={"to": f"{inside}/secrets"})

    assert len(site.asked) == 1
    assert inner.asked == []


async def test_name_is_resolved_once_per_connection() -> None:
    """A resolver that says something else a moment later (DNS rebinding) is not asked again."""
    site = Site()
    names = Names([PUBLIC], [PRIVATE])
    async with served(site.app()) as origin, a_client(names) as client:
        port = httpx.URL(origin).port
        answer = await client.get(f"http://rebinding.example:{port}/")
        assert answer.status_code == 200
        assert names.questions == 1

        client_two = a_client(names)
        with pytest.raises(AddressRefused):
            await client_two.get(f"http://rebinding.example:{port}/")
        await client_two.aclose()


async def test_next_address_is_tried_where_the_first_does_not_answer() -> None:
    """As any client does."""
    site = Site()
    async with served(site.app()) as origin:
        transport = PublicTransport(is_allowed=lambda _: True, resolve=Names([PRIVATE, PUBLIC]).resolve)
        async with httpx.AsyncClient(transport=transport) as client:
            answer = await client.get(f"http://pictures.example:{httpx.URL(origin).port}/")

    assert answer.text == "a picture"


async def test_default_transport_refuses_loopback() -> None:
    """With nothing injected: the system's resolver and the real rule."""
    site = Site()
    async with served(site.app()) as origin, httpx.AsyncClient(transport=PublicTransport()) as client:
        for url in (origin, f"http://localhost:{httpx.URL(origin).port}"):
            with pytest.raises(AddressRefused):
                await client.get(url)

    assert site.asked == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve and connect for us, unchecked."""
    proxy = Site()
    async with served(proxy.app()) as origin:
        monkeypatch.setenv("HTTP_PROXY", origin)
        async with open_media_http(transport=PublicTransport(), own_url="http://crier.example") as client:
            with pytest.raises(AddressRefused):
                await client.get("http://127.0.0.2/")

    assert proxy.asked == []


async def test_own_files_are_reachable_wherever_they_resolve_to() -> None:
    """Crier's own public URL may lead to an inner address; no other URL there does."""
    site = Site()
    async with (
        served(site.app()) as origin,
        open_media_http(transport=PublicTransport(), own_url=origin) as client,
    ):
        answer = await client.get(f"{origin}/media/upl_1/upl_1.jpg")
        assert answer.text == "a picture"
        with pytest.raises(AddressRefused):
            await client.get(f"{origin}/", params={"to": "http://127.0.0.2/"}, follow_redirects=True)


async def test_endless_redirects_end() -> None:
    """After a handful."""
    site = Site()
    async with (
        served(site.app()) as origin,
        open_media_http(transport=httpx.AsyncHTTPTransport(), own_url="http://crier.example") as client,
    ):
        with pytest.raises(httpx.TooManyRedirects):
            await client.get(f"{origin}/loop", follow_redirects=True)


async def test_slow_resolver_ends_with_the_connect_timeout() -> None:
    """A name server of the stranger's own may take its time, but not ours."""

    async def never(host: str, port: int) -> Sequence[Address]:
        await asyncio.sleep(30)
        return [PUBLIC]

    transport = PublicTransport(is_allowed=lambda _: True, resolve=never)
    async with httpx.AsyncClient(transport=transport, timeout=0.2) as client:
        with pytest.raises(httpx.ConnectTimeout):
            await client.get("http://slow.example/")


async def test_resolve_host_gives_addresses_in_order_and_literals_as_they_are() -> None:
    """The system's own resolver."""
    assert [str(address) for address in await resolve_host("127.0.0.1", 80)] == ["127.0.0.1"]
    assert PUBLIC in await resolve_host("localhost", 80)
    with pytest.raises(socket.gaierror):
        await resolve_host("does-not-exist.invalid", 80)


async def test_socket_files_are_out_of_reach(tmp_path: Path) -> None:
    """There is no spelling of a URL that opens one."""
    async with httpx.AsyncClient(transport=PublicTransport()) as client:
        with pytest.raises((httpx.UnsupportedProtocol, httpx.InvalidURL)):
            await client.get(f"http+unix://{tmp_path}/redis.sock")
