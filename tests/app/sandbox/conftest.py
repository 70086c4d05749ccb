"""A running sandbox, one working account on each platform, and a host for media that sandbox samples do not have."""

import io
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from PIL import Image

from app.sandbox.running import RunningSandbox

INSTAGRAM = "17841400000000001"
PAGE = "110000000000001"
CHANNEL = "UCsandboxAdaLumen0000001"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    """One server for a test file."""
    with RunningSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: RunningSandbox) -> RunningSandbox:
    """The server as on its first day."""
    running.reset()
    return running


@pytest.fixture
def instagram(sandbox: RunningSandbox) -> Callable[..., httpx.Response]:
    """Call Instagram as Ada: `instagram("POST", "{me}/media", image_url=…)`."""
    return _graph_caller(sandbox, "instagram", INSTAGRAM)


@pytest.fixture
def facebook(sandbox: RunningSandbox) -> Callable[..., httpx.Response]:
    """Call Facebook as Lumen Coffee: `facebook("POST", "{me}/feed", message=…)`."""
    return _graph_caller(sandbox, "facebook", PAGE)


def _graph_caller(sandbox: RunningSandbox, platform: str, account: str) -> Callable[..., httpx.Response]:
    token = sandbox.token_for(platform, account)

    def call(
        method: str, path: str, *, version: str = "v25.0", files: dict[str, bytes] | None = None, **params: str
    ) -> httpx.Response:
        address = f"/{platform}/{version}/{path.format(me=account)}"
        params = {"access_token": token, **params}
        if method == "POST":
            return sandbox.http.post(address, data=params, files=files)
        return sandbox.http.request(method, address, params=params)

    return call


@pytest.fixture
def picture(sandbox: RunningSandbox) -> str:
    """The address of a JPEG."""
    return f"{sandbox.url}/samples/sunrise.jpg"


@pytest.fixture
def clip(sandbox: RunningSandbox) -> str:
    """The address of an MP4."""
    return f"{sandbox.url}/samples/clip.mp4"


@pytest.fixture
def container(sandbox: RunningSandbox, instagram: Callable[..., httpx.Response], picture: str) -> Callable[[str], str]:
    """Make a finished image container with a caption; gives its id."""

    def make(caption: str) -> str:
        answer = instagram("POST", "{me}/media", image_url=picture, caption=caption)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    return make


@pytest.fixture
def youtube_headers(sandbox: RunningSandbox) -> dict[str, str]:
    """The Authorization header of Ada's channel."""
    return {"Authorization": f"Bearer {sandbox.token_for('youtube', CHANNEL)}"}


@pytest.fixture
def start_upload(sandbox: RunningSandbox, youtube_headers: dict[str, str]) -> Callable[..., httpx.Response]:
    """Open a resumable session; `snippet` and `status` override parts of the metadata."""

    def start(
        size: int, *, snippet: dict[str, object] | None = None, status: dict[str, object] | None = None
    ) -> httpx.Response:
        body = {
            "snippet": {"title": "A title", "description": "a description"} | (snippet or {}),
            "status": {"privacyStatus": "public"} | (status or {}),
        }
        return sandbox.http.post(
            "/youtube/upload/youtube/v3/videos",
            params={"uploadType": "resumable", "part": "snippet,status"},
            headers=youtube_headers | {"X-Upload-Content-Length": str(size)},
            json=body,
        )

    return start


@pytest.fixture(scope="session")
def hosted() -> Iterator[Callable[[str, bytes], str]]:
    """A web server of one's own: `hosted("/wide.jpg", content)` gives the address."""
    files: dict[str, bytes] = {}

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def host(path: str, content: bytes) -> str:
            files[path] = content
            return f"http://127.0.0.1:{server.server_port}{path}"

        yield host
        server.shutdown()


@pytest.fixture(scope="session")
def jpeg() -> Callable[[int, int], bytes]:
    """Draw a grey JPEG of a size."""

    def draw(width: int, height: int) -> bytes:
        content = io.BytesIO()
        Image.new("RGB", (width, height), (120, 120, 120)).save(content, "JPEG")
        return content.getvalue()

    return draw
