"""Pictures and videos as platforms take them: really fetched, and known by their bytes rather than by their names."""

import asyncio
import io
from dataclasses import dataclass

import httpx
from PIL import Image, UnidentifiedImageError

FETCH_SECONDS = 15.0
MAX_IMAGE_BYTES = 32 * 1024 * 1024
MAX_VIDEO_BYTES = 300 * 1024 * 1024

_SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "BMP": "bmp", "TIFF": "tiff"}


class FetchFailed(Exception):
    """A media URL did not give its bytes: unreachable, not 200, too slow or too big."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What the bytes of an image say about themselves; `suffix` names its format (`jpg`, `png`, …)."""

    suffix: str
    width: int
    height: int

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height


class MediaFetcher:
    """Fetches what `image_url`, `video_url` and their like point to."""

    def __init__(self) -> None:
        # No proxy of the machine's: the sandbox mostly fetches from itself.
        self._client = httpx.AsyncClient(follow_redirects=True, max_redirects=3, timeout=FETCH_SECONDS, trust_env=False)

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """The bytes behind a URL; raises FetchFailed with the reason."""
        content = bytearray()
        try:
            async with asyncio.timeout(FETCH_SECONDS), self._client.stream("GET", url) as response:
                if response.status_code != 200:
                    raise FetchFailed(f"{url} answered {response.status_code}")
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > max_bytes:
                        raise FetchFailed(f"{url} is larger than {max_bytes} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
            raise FetchFailed(f"{url}: {type(failure).__name__}") from failure
        return bytes(content)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()


def find_picture(content: bytes) -> Picture | None:
    """The image these bytes are, or None."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            suffix = _SUFFIXES.get(image.format or "")
            return Picture(suffix, image.width, image.height) if suffix else None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None


def is_video(head: bytes) -> bool:
    """Whether the first bytes are those of an MP4 or MOV file."""
    return head[4:8] in (b"ftyp", b"moov", b"wide", b"mdat")


def is_youtube_video(head: bytes) -> bool:
    """Whether YouTube could make sense of it: MP4, MOV, WebM, Matroska, AVI, MPEG."""
    return is_video(head) or head.startswith((b"\x1a\x45\xdf\xa3", b"RIFF", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"))
