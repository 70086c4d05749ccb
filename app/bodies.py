"""A file in the body of a request: the whole body, or the one file of a form.

It waits in a temporary file, on disk (in TMPDIR) once it is larger than a megabyte.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import BinaryIO

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from app.faults import BadRequest

MEMORY_BYTES = 1024 * 1024
FORM_BYTES = 64 * 1024
"""What a form may add around its file."""


@asynccontextmanager
async def received_file(request: Request, *, most_bytes: int, patience: timedelta) -> AsyncIterator[BinaryIO]:
    """The file that a request brings, gone after the block. Raises BadRequest.

    `patience` is for each piece of the body: how long all of it takes is up to the person's line.
    """
    too_large = BadRequest(f"A file may have {most_bytes:,} bytes.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if _announced_bytes(request) > most_bytes + FORM_BYTES:
        raise too_large

    arriving = _Arriving(request.receive, most_bytes=most_bytes + FORM_BYTES, too_large=too_large, patience=patience)
    upload = await _read_file(Request(request.scope, arriving))
    try:
        if upload.size is not None and upload.size > most_bytes:
            raise too_large
        yield upload.file
    finally:
        await upload.close()


class _Arriving:
    """The messages of a body, as long as they come in time and are not too many."""

    def __init__(self, receive: Receive, *, most_bytes: int, too_large: BadRequest, patience: timedelta) -> None:
        self._receive = receive
        self._left = most_bytes
        self._too_large = too_large
        self._patience = patience.total_seconds()

    async def __call__(self) -> Message:
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError as error:
            raise BadRequest("The body stopped arriving.", status=HTTPStatus.REQUEST_TIMEOUT) from error
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._too_large
        return message


async def _read_file(request: Request) -> UploadFile:
    is_form = request.headers.get("content-type", "").startswith("multipart/form-data")
    try:
        return await (_read_form(request) if is_form else _read_body(request))
    except ClientDisconnect as error:
        raise BadRequest("The body broke off.") from error


async def _read_body(request: Request) -> UploadFile:
    # UploadFile moves to a thread whatever touches the disk.
    upload = UploadFile(SpooledTemporaryFile(MEMORY_BYTES), size=0)  # type: ignore[arg-type] # noqa: SIM115 — as Starlette does; closed with the upload
    try:
        async for piece in request.stream():
            await upload.write(piece)
    except BaseException:
        await upload.close()
        raise
    return upload


async def _read_form(request: Request) -> UploadFile:
    try:
        form = await request.form(max_files=1, max_fields=10)
    except HTTPException as error:
        raise BadRequest(error.detail) from error
    upload = next((value for value in form.values() if isinstance(value, UploadFile)), None)
    if upload is None:
        raise BadRequest("The form holds no file.")
    return upload


def _announced_bytes(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0
