"""/media by real HTTP: what goes in comes out, in whole and in part, and nothing else does."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from app.api import open_uploads
from app.bodies import received_file
from app.faults import BadRequest, fault_response
from app.media import Media
from app.settings import SettingsError
from services.domain.errors import CrierError, Unauthenticated
from services.domain.ids import Kind, decode_id_of
from services.domain.viewers import Scope, Viewer
from tests.media_files import a_picture, a_video
from tests.rig import Rig
from tests.serving import Serve
from tests.uploading import Uploading, uploading

MOST_BYTES = 3_000_000


@dataclass
class Site:
    """The routes, served; and a client with a credential that may write."""

    up: Uploading
    client: httpx.AsyncClient
    viewer: Viewer
    origin: str

    async def upload(self, content: bytes, **options: Any) -> dict[str, Any]:
        """Put a file there."""
        answer = await self.client.post("/media", content=content, **options)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def local(self, url: str) -> str:
        """A public address, on the server of this test."""
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"


@pytest.fixture
async def site(
    serve: Serve, database: AsyncEngine, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[Site]:
    """Everything on real servers; two tokens, `writer` and `reader`."""
    folder = tmp_path / "media"
    async with uploading(database_url=database_url, redis_url=redis_url, folder=folder, most_bytes=MOST_BYTES) as up:
        writer = await up.a_viewer()
        viewers = {"Bearer writer": writer, "Bearer reader": await up.a_viewer(scope=Scope.READ)}

        async def identify(authorization: str | None, address: str | None = None) -> Viewer | None:
            if authorization is None:
                return None
            if authorization not in viewers:
                raise Unauthenticated("This credential is not valid.")
            return viewers[authorization]

        async def refuse(_: Request, error: Exception) -> Response:
            assert isinstance(error, CrierError)
            return fault_response(error, correlation_id="test")

        media = Media(uploads=up.service, identify=identify, patience=timedelta(seconds=0.5))
        app = Starlette(routes=media.routes(), exception_handlers={CrierError: refuse})
        origin = await serve(app)
        headers = {"authorization": "Bearer writer"}
        async with httpx.AsyncClient(base_url=origin, headers=headers, timeout=20) as client:
            yield Site(up, client, writer, origin)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The one error of a refusal."""
    [error] = answer.json()["errors"]
    return {"status": answer.status_code, "message": error["message"], **error["extensions"]}


def a_part(disposition: str) -> bytes:
    """One part of a form whose boundary is `x`."""
    return f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n1\r\n".encode()


async def test_upload_as_body_is_measured_and_given_back_by_its_url(site: Site) -> None:
    """What POST answers is what GraphQL needs, and its URL is what platforms fetch: without any credential."""
    content = a_picture(320, 200)

    told = await site.upload(content)

    url = told.pop("url")
    assert decode_id_of(Kind.UPLOAD, told.pop("id")) is not None
    assert told == {
        "kind": "IMAGE",
        "contentType": "image/jpeg",
        "width": 320,
        "height": 200,
        "durationSeconds": None,
        "sizeBytes": len(content),
    }
    assert url.startswith("https://crier.example/media/upl_")
    async with httpx.AsyncClient(base_url=site.origin) as stranger:
        answer = await stranger.get(site.local(url))
    assert answer.content == content
    assert answer.headers["content-type"] == "image/jpeg"


async def test_upload_as_form_is_the_same(site: Site) -> None:
    """A browser's form with one file among its fields; name and type that it claims are not believed."""
    content = a_video(640, 360, 2.5)
    answer = await site.client.post(
        "/media", data={"note": "hello"}, files={"file": ("../../evil.html", content, "text/html")}
    )

    assert answer.status_code == 201
    assert answer.json()["contentType"] == "video/mp4"
    assert answer.json()["durationSeconds"] == 2.5
    fetched = await site.client.get(site.local(answer.json()["url"]))
    assert fetched.content == content


async def test_same_key_and_file_give_the_same_upload(site: Site) -> None:
    """As a body or as a form; a key that nobody could mean is refused."""
    content, header = a_picture(), {"Idempotency-Key": "bread"}

    first = await site.client.post("/media", content=content, headers=header)
    again = await site.client.post("/media", files={"file": ("a.jpg", content)}, headers=header)
    other = await site.client.post("/media", content=a_picture(64, 64), headers=header)
    empty = await site.client.post("/media", content=content, headers={"Idempotency-Key": ""})

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"]
    assert error_of(other)["code"] == "IDEMPOTENCY_MISMATCH"
    assert error_of(empty)["code"] == "VALIDATION_FAILED"


async def test_file_is_served_so_that_a_browser_runs_nothing_of_it(site: Site) -> None:
    """Type as found, never sniffed, in a sandbox."""
    told = await site.upload(a_picture() + b"<script>alert(1)</script>")

    headers = (await site.client.get(site.local(told["url"]))).headers

    assert headers["content-type"] == "image/jpeg"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_parts_of_a_file_add_up_to_the_whole(site: Site) -> None:
    """As a player asks, or a platform that resumes."""
    content = a_video(stream_bytes=900_000)
    url = site.local((await site.upload(content))["url"])
    collected = b""

    while len(collected) < len(content):
        asked = f"bytes={len(collected)}-{len(collected) + 299_999}"
        answer = await site.client.get(url, headers={"range": asked})
        assert answer.status_code == 206
        start, end = len(collected), len(collected) + len(answer.content) - 1
        assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(content)}"
        collected += answer.content

    assert collected == content
    behind = await site.client.get(url, headers={"range": f"bytes={len(content)}-"})
    assert behind.status_code == 416
    assert behind.headers["content-range"] == f"bytes */{len(content)}"


async def test_head_and_conditional_requests_cost_no_bytes(site: Site) -> None:
    """HEAD tells the size; a file that is known already is not sent; a part of another file is not given."""
    content = a_picture()
    url = site.local((await site.upload(content))["url"])

    head = await site.client.head(url)
    assert head.status_code == 200
    assert head.headers["content-length"] == str(len(content))
    assert head.headers["accept-ranges"] == "bytes"
    assert head.content == b""
    etag = head.headers["etag"]
    assert (await site.client.get(url, headers={"if-none-match": etag})).status_code == 304
    parts = {"range": "bytes=0-1"}
    assert (await site.client.get(url, headers={**parts, "if-range": etag})).status_code == 206
    assert (await site.client.get(url, headers={**parts, "if-range": '"other"'})).status_code == 200


async def test_address_holds_neither_altered_nor_after_its_time(site: Site) -> None:
    """Another file, another time, no signature, or too late: all are FORBIDDEN."""
    first, second = await site.upload(a_picture()), await site.upload(a_picture(form="PNG"))
    url = site.local(first["url"])
    path, _, query = url.partition("?")
    other_path = site.local(second["url"]).partition("?")[0]

    for wrong in (path, f"{other_path}?{query}", f"{url}x", url.replace("expires=1", "expires=2")):
        assert error_of(await site.client.get(wrong))["code"] == "FORBIDDEN", wrong
    site.up.clock += timedelta(days=1)
    assert error_of(await site.client.get(url))["status"] == 403


async def test_missing_file_is_told_before_the_first_byte(site: Site) -> None:
    """A row whose file is gone answers 404, not a broken 200."""
    told = await site.upload(a_picture())
    for file in site.up.files():
        file.unlink()

    assert error_of(await site.client.get(site.local(told["url"])))["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("headers", "code", "status"),
    [
        ({}, "UNAUTHENTICATED", 401),
        ({"authorization": "Bearer wrong"}, "UNAUTHENTICATED", 401),
        ({"authorization": "Bearer reader"}, "FORBIDDEN", 403),
    ],
)
async def test_upload_needs_a_credential_that_may_write(
    site: Site, headers: dict[str, str], code: str, status: int
) -> None:
    """Nothing is stored for anybody else."""
    async with httpx.AsyncClient(base_url=site.origin, headers=headers) as client:
        refused = error_of(await client.post("/media", content=a_picture()))

    assert (refused["code"], refused["status"]) == (code, status)
    assert site.up.files() == []


@pytest.mark.parametrize("content", [b"", b"GIF89a" + bytes(50), a_picture()[:-300], a_video()[:-1], b"<html>"])
async def test_what_is_no_media_is_refused_with_a_reason(site: Site, content: bytes) -> None:
    """MEDIA_NOT_SUPPORTED, naming the field."""
    refused = error_of(await site.client.post("/media", content=content))

    assert (refused["code"], refused["field"], refused["status"]) == ("MEDIA_NOT_SUPPORTED", "file", 400)
    assert site.up.files() == []


async def test_file_that_is_too_large_is_refused_whether_announced_or_not(site: Site) -> None:
    """By its Content-Length, by what arrives without one, and inside of a form."""
    piece = a_video(stream_bytes=1_000_000)

    async def without_length() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield piece

    answers = [
        await site.client.post("/media", content=piece * 4),
        await site.client.post("/media", content=without_length()),
        await site.client.post("/media", files={"file": piece * 4}),
        await site.client.post("/media", files={"file": piece * 2 + bytes(MOST_BYTES + 10 - 2 * len(piece))}),
    ]

    for answer in answers:
        assert error_of(answer)["code"] == "BAD_REQUEST"
        assert answer.status_code == 413
    assert site.up.files() == []


@pytest.mark.parametrize("kind", ["video/mp4", "multipart/form-data; boundary=x"])
async def test_endless_body_is_left_at_the_limit(kind: str) -> None:
    """Whatever it is said to be, no more is read than may be kept."""
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        body = a_part('name="a"; filename="a"') if taken == 0 else bytes(50_000)
        taken += len(body)
        return {"type": "http.request", "body": body, "more_body": True}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}
    with pytest.raises(BadRequest) as refused:
        async with received_file(Request(scope, receive), most_bytes=500_000, patience=timedelta(seconds=1)):
            pytest.fail("an endless body has no end")

    assert refused.value.status == 413
    assert taken < 700_000


async def test_upload_of_most_bytes_is_taken_without_holding_it_in_memory(site: Site) -> None:
    """The largest file that is allowed, in a tenth of its size."""
    empty = len(a_video(stream_bytes=0))
    content = a_video(stream_bytes=MOST_BYTES - empty)
    assert len(content) == MOST_BYTES
    await site.upload(a_picture())  # whatever is loaded once is loaded

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 50_000):
            yield content[start : start + 50_000]

    tracemalloc.start()
    answer = await site.client.post("/media", content=pieces())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert answer.json()["sizeBytes"] == MOST_BYTES
    assert peak < MOST_BYTES


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", b"--x"),
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data; boundary=x", a_part('name="a"') + b"--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            a_part('name="a"; filename="a"') + a_part('name="b"; filename="b"') + b"--x--\r\n",
        ),
    ],
)
async def test_malformed_form_is_a_bad_request(site: Site, kind: str, content: bytes) -> None:
    """No boundary, no form, no file, or two."""
    refused = error_of(await site.client.post("/media", content=content, headers={"content-type": kind}))

    assert (refused["code"], refused["status"]) == ("BAD_REQUEST", 400)


async def test_body_that_stops_arriving_is_given_up(site: Site) -> None:
    """A connection that sends nothing more is answered 408 after the patience for one piece."""
    parts = urlsplit(site.origin)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"POST /media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer writer\r\nContent-Length: 500\r\n\r\nabc")

    async with asyncio.timeout(5):
        answer = await reader.read(2000)

    writer.close()
    assert b"408" in answer.split(b"\r\n")[0]
    assert site.up.files() == []


async def test_body_that_breaks_off_leaves_nothing(site: Site) -> None:
    """The client is gone in the middle; the server goes on."""
    parts = urlsplit(site.origin)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"POST /media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer writer\r\nContent-Length: 99999\r\n\r\n")
    writer.write(a_picture())
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    assert (await site.upload(a_picture()))["kind"] == "IMAGE"
    assert len(site.up.files()) == 1


@pytest.mark.parametrize("place", ["{folder}/file", "{folder}/file/media", "s3://bucket?nonsense=hidden"])
async def test_place_that_cannot_be_used_is_an_error_at_start(rig: Rig, tmp_path: Path, place: str) -> None:
    """It names the variable, and shows nothing that may be a secret."""
    (tmp_path / "file").touch()
    settings = rig.container.settings.model_copy(update={"media_store": place.format(folder=tmp_path)})

    with pytest.raises(SettingsError, match=r"^MEDIA_STORE: ") as caught:
        open_uploads(replace(rig.container, settings=settings))

    assert "hidden" not in str(caught.value)
