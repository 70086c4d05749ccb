"""UploadService: takes a person's file, and hands it to whoever holds its public address."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from services.backends.database import Database
from services.backends.media_links import MediaLinks
from services.backends.objects import ObjectStore
from services.backends.transactions import DatabaseTransactionService, Transaction
from services.domain.errors import Forbidden, NotFound
from services.domain.ids import Kind, decode_id_of, new_id
from services.domain.uploads import Upload
from services.domain.viewers import Viewer
from services.queries.keys import Wish, find_fulfilled
from services.queries.uploads import find_uploads, insert_upload
from services.uploads.inspection import inspect_file


class UploadService:
    """Keeps what people upload. A file is measured before it is stored, and stored before anything names it."""

    def __init__(
        self,
        *,
        database: Database,
        transactions: DatabaseTransactionService,
        objects: ObjectStore,
        links: MediaLinks,
        most_bytes: int,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._transactions = transactions
        self._objects = objects
        self._links = links
        self._now = now
        self.most_bytes = most_bytes
        """How large a file may be; whoever receives one stops there."""

    async def store_file(self, viewer: Viewer, file: BinaryIO, *, idempotency_key: str | None = None) -> Upload:
        """Keep a seekable file; the same key and file again gives the same upload.

        Raises Refused for one that is not media or is damaged; nothing is kept of it.
        """
        if not viewer.can_write:
            raise Forbidden("This credential may only read.")
        size = await asyncio.to_thread(file.seek, 0, io.SEEK_END)
        facts = await asyncio.to_thread(inspect_file, file, size)

        upload_id = new_id()
        upload = Upload(
            id=upload_id,
            user_id=viewer.user.id,
            type=facts.type,
            path=f"{viewer.user.id.hex}/{upload_id.hex}.{facts.type.extension}",
            size_bytes=size,
            width=facts.width,
            height=facts.height,
            duration_seconds=facts.duration_seconds,
            created_at=self._now(),
        )
        wish = Wish("upload", idempotency_key, None if idempotency_key is None else await _digest(file))
        await self._write(upload, file)
        kept = await self._record(upload, wish)
        if kept is not upload:
            # Where nobody could say whether the earlier call was committed, its file was taken away again.
            await self._write(kept, file)
            await self._objects.remove(upload.path)
        return kept

    async def find_upload(self, viewer: Viewer, upload_id: UUID) -> Upload | None:
        """The viewer's own upload; None for one that is absent or somebody else's."""
        return await self._find(upload_id, owner=viewer.user.id)

    def public_url(self, upload: Upload) -> str:
        """Where anybody, a platform above all, can fetch the file for a while."""
        return self._links.public_url(upload)

    async def find_public(self, *, path: str, expires: str, signature: str) -> Upload:
        """The upload behind an address that `public_url` gave. Raises Forbidden once that no longer holds."""
        if not self._links.holds(path=path, expires=expires, signature=signature):
            raise Forbidden("This address is not one of ours, or its time is over.")
        upload_id = decode_id_of(Kind.UPLOAD, path.rpartition("/")[2].partition(".")[0])
        upload = None if upload_id is None else await self._find(upload_id, owner=None)
        if upload is None:
            raise NotFound("There is no such upload.")
        return upload

    async def read_file(self, upload: Upload, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes of an upload from `start` up to before `end`, piece by piece."""
        return await self._objects.read(upload.path, start, end)

    async def _write(self, upload: Upload, file: BinaryIO) -> None:
        await asyncio.to_thread(file.seek, 0)
        await self._objects.write(upload.path, file)

    async def _record(self, upload: Upload, wish: Wish) -> Upload:
        """The new upload, or the one that this wish has made before."""

        async def work(tx: Transaction) -> Upload:
            earlier = await find_fulfilled(tx.connection, upload.user_id, wish, object_id=upload.id)
            if earlier is None:
                await insert_upload(tx.connection, upload)
                return upload
            return (await find_uploads(tx.connection, [earlier], owner=upload.user_id))[earlier]

        try:
            return await self._transactions.execute_in_transaction(work)
        except BaseException:
            # Where the commit's outcome is unknown, a row may now name a file that is gone: it answers 404 and can be
            # uploaded again, while a file without a row would be kept for ever.
            await asyncio.shield(self._objects.remove(upload.path))
            raise

    async def _find(self, upload_id: UUID, *, owner: UUID | None) -> Upload | None:
        async with self._database.connect() as connection:
            return (await find_uploads(connection, [upload_id], owner=owner)).get(upload_id)


async def _digest(file: BinaryIO) -> str:
    await asyncio.to_thread(file.seek, 0)
    return (await asyncio.to_thread(hashlib.file_digest, file, "sha256")).hexdigest()  # type: ignore[arg-type] # its types ask for more than it uses
