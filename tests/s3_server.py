"""A server that speaks as much of S3 as the object store uses: enough to prove the protocol, not S3 itself."""

import re
from dataclasses import dataclass, field
from email.utils import formatdate

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_XML = "application/xml"


@dataclass
class S3Server:
    """Buckets in memory; every request must be signed (that it is signed right is not checked)."""

    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    is_down: bool = False

    def app(self) -> Starlette:
        """The server as an application."""
        return Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "PUT", "POST", "DELETE", "HEAD"])])

    async def answer(self, request: Request) -> Response:
        """One request."""
        if self.is_down:
            return Response(status_code=403)
        if "AWS4-HMAC-SHA256" not in request.headers.get("authorization", ""):
            return Response(status_code=401)
        path, body = request.path_params["path"], await request.body()
        match request.method:
            case "PUT":
                return self._put(request, path, body)
            case "POST":
                return self._post(request, path, body)
            case "DELETE":  # of a multipart upload that broke off
                self.parts.pop(path, None)
                return Response(status_code=204)
        return self._get(request, path)

    def _put(self, request: Request, path: str, body: bytes) -> Response:
        number = request.query_params.get("partNumber")
        if number is None:
            self.objects[path] = body
        else:
            self.parts[path][int(number)] = body
        return Response(headers={"ETag": number or "whole"})

    def _post(self, request: Request, path: str, body: bytes) -> Response:
        if "uploads" in request.query_params:
            self.parts[path] = {}
            return self._xml("InitiateMultipartUploadResult", f"<UploadId>{path}</UploadId>")
        if "delete" in request.query_params:
            keys = re.findall("<Key>(.*?)</Key>", body.decode())
            for key in keys:
                self.objects.pop(f"{path}/{key}", None)
            return self._xml("DeleteResult", "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys))
        self.objects[path] = b"".join(content for _, content in sorted(self.parts.pop(path).items()))
        return self._xml("CompleteMultipartUploadResult", "<ETag>whole</ETag>")

    def _get(self, request: Request, path: str) -> Response:
        content = self.objects.get(path)
        if content is None:
            return Response(status_code=404)
        headers = {"Last-Modified": formatdate(usegmt=True), "ETag": "whole"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
        if asked is None:
            return Response(content, headers=headers)
        start, end = int(asked[1]), min(int(asked[2]) + 1, len(content))
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return Response(content[start:end], 206, headers)

    def _xml(self, name: str, content: str) -> Response:
        return Response(f"<{name}>{content}</{name}>", media_type=_XML)
