"""/media: people put files there, platforms and browsers fetch them by their signed addresses.

A file is sent as the whole body (`curl --data-binary @photo.jpg`) or as the one file of a form (`curl -F file=@…`).
Refusals are raised: whoever serves these routes answers a CrierError.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from app.bodies import received_file
from app.doorkeeping import address_of
from app.ranges import Part, RangeNotSatisfiable, part_of
from services.backends.media_links import PREFIX
from services.domain.errors import Forbidden, Unauthenticated
from services.domain.ids import Kind, encode_id
from services.domain.uploads import Upload
from services.domain.viewers import Viewer
from services.uploads.service import UploadService

KEY_HEADER = "Idempotency-Key"
"""Names the wish to have this file stored: the same key and file again gives the same upload."""

Identify = Callable[[str | None, str | None], Awaitable[Viewer | None]]

_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, max-age=86400, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Whatever a file may pretend to be, a browser shows it as what we found it to be, and runs nothing of it."""


class Media:
    """The two handlers of /media."""

    def __init__(
        self, *, uploads: UploadService, identify: Identify, patience: timedelta = timedelta(seconds=30)
    ) -> None:
        self._uploads = uploads
        self._identify = identify
        self._patience = patience

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            Route(PREFIX, self.receive, methods=["POST"]),
            Route(f"{PREFIX}/{{upload}}/{{name}}", self.send, methods=["GET"]),
        ]

    async def receive(self, request: Request) -> Response:
        """Take a file: 201 with its id, for `mediaId`, and what was measured of it."""
        viewer = await self._identify(request.headers.get("authorization"), address_of(request))
        if viewer is None:
            raise Unauthenticated("Send an API key or a token: `Authorization: Bearer …`.")
        if not viewer.can_write:
            raise Forbidden("This credential may only read.")

        async with received_file(request, most_bytes=self._uploads.most_bytes, patience=self._patience) as file:
            upload = await self._uploads.store_file(viewer, file, idempotency_key=request.headers.get(KEY_HEADER))
        return JSONResponse(self._describe(upload), HTTPStatus.CREATED)

    async def send(self, request: Request) -> Response:
        """Give a file, or the part of it that is asked for, to whoever holds its address."""
        upload = await self._uploads.find_public(
            path=f"{PREFIX}/{request.path_params['upload']}/{request.path_params['name']}",
            expires=request.query_params.get("expires", ""),
            signature=request.query_params.get("signature", ""),
        )
        etag = f'"{upload.id.hex}"'
        headers = {**_HEADERS, "ETag": etag, "Content-Type": upload.type.value}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)

        is_same_file = request.headers.get("if-range", etag) == etag
        try:
            part = part_of(request.headers.get("range") if is_same_file else None, upload.size_bytes)
        except RangeNotSatisfiable:
            headers["Content-Range"] = f"bytes */{upload.size_bytes}"
            return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
        return await self._send_part(upload, part, headers, is_head=request.method == "HEAD")

    async def _send_part(
        self, upload: Upload, part: Part | None, headers: dict[str, str], *, is_head: bool
    ) -> Response:
        status = HTTPStatus.OK
        if part is not None:
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{upload.size_bytes}"
        asked = part or Part(0, upload.size_bytes)
        headers["Content-Length"] = str(asked.end - asked.start)
        if is_head:
            return Response(status_code=status, headers=headers)
        return StreamingResponse(await self._uploads.read_file(upload, asked.start, asked.end), status, headers)

    def _describe(self, upload: Upload) -> dict[str, Any]:
        return {
            "id": encode_id(Kind.UPLOAD, upload.id),
            "kind": upload.kind.value,
            "contentType": upload.type.value,
            "url": self._uploads.public_url(upload),
            "width": upload.width,
            "height": upload.height,
            "durationSeconds": upload.duration_seconds,
            "sizeBytes": upload.size_bytes,
        }
