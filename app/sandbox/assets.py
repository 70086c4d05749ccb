"""What pages and clients load: styles and scripts, kept media, avatars, and sample pictures to post."""

import hashlib
import html

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from app.sandbox.blobs import MEDIA_TYPES
from app.sandbox.html import PAGES
from app.sandbox.samples import CLIP, SAMPLES, draw_sample
from app.sandbox.world import World

ASSETS = {"style.css": "text/css", "feed.js": "text/javascript"}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


class Assets:
    """Files of the sandbox's own, and bytes it was given."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def asset(self, request: Request) -> Response:
        """`/assets/{name}`."""
        name = request.path_params["name"]
        if name not in ASSETS:
            return PlainTextResponse("No such file.", 404)
        return FileResponse(PAGES / name, media_type=ASSETS[name], headers={"Cache-Control": "no-cache"})

    async def media(self, request: Request) -> Response:
        """`/media/{key}`: a kept picture or video; a part of it where a player asks for one."""
        key = request.path_params["key"]
        content = self._world.blobs.find(key)
        if content is None:
            return PlainTextResponse("Not kept.", 404)
        return _answer_range(request, content, MEDIA_TYPES[key.partition(".")[2]])

    async def avatar(self, request: Request) -> Response:
        """`/avatars/{id}.svg`: the initials of an account or person on a colour of their own."""
        owner_id = request.path_params["id"]
        owner = self._world.accounts.get(owner_id) or self._world.people.get(owner_id)
        if owner is None:
            return PlainTextResponse("Nobody.", 404)
        return Response(_avatar(owner_id, owner.name), media_type="image/svg+xml", headers=_FOREVER)

    async def samples(self, request: Request) -> Response:
        """`/samples`: addresses of media to try with."""
        del request
        base = f"{self._world.public_url}/samples"
        images = [f"{base}/{name}.jpg" for name in SAMPLES]
        return JSONResponse({"images": images, "videos": [f"{base}/{CLIP.name}"]})

    async def sample(self, request: Request) -> Response:
        """`/samples/{name}`: a picture as JPEG or PNG, or `clip.mp4`."""
        name = request.path_params["name"]
        if name == CLIP.name:
            return _answer_range(request, CLIP.read_bytes(), "video/mp4")
        stem, _, suffix = name.rpartition(".")
        if stem not in SAMPLES or suffix not in ("jpg", "png"):
            return PlainTextResponse("No such sample; see /samples.", 404)
        return Response(draw_sample(stem, suffix), media_type=MEDIA_TYPES[suffix], headers=_FOREVER)


def _answer_range(request: Request, content: bytes, media_type: str) -> Response:
    """The content, or the one range that was asked for: Safari plays no video without."""
    headers = {**_FOREVER, "Accept-Ranges": "bytes"}
    unit, _, wanted = request.headers.get("range", "").partition("=")
    first, _, last = wanted.partition("-")
    if unit != "bytes" or not first.isdigit() or int(first) >= len(content):
        return Response(content, media_type=media_type, headers=headers)
    begin = int(first)
    end = min(int(last), len(content) - 1) if last.isdigit() else len(content) - 1
    headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
    return Response(content[begin : end + 1], 206, media_type=media_type, headers=headers)


def _avatar(owner_id: str, name: str) -> str:
    hue = int(hashlib.sha256(owner_id.encode()).hexdigest(), 16) % 360
    initials = "".join(word[0] for word in name.split()[:2]).upper()
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 80"><defs>'
        '<linearGradient id="g" x1="0" y1="0" x2="1" y2="1">'
        f'<stop offset="0" stop-color="hsl({hue} 70% 62%)"/>'
        f'<stop offset="1" stop-color="hsl({(hue + 50) % 360} 65% 42%)"/></linearGradient></defs>'
        '<rect width="80" height="80" fill="url(#g)"/>'
        '<text x="40" y="41" fill="#fff" font-family="system-ui,sans-serif" font-size="30" font-weight="600" '
        f'text-anchor="middle" dominant-baseline="central">{html.escape(initials)}</text></svg>'
    )
