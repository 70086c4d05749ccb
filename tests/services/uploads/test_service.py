"""Storing uploads: whole or not at all, and each person's own."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.domain.errors import ErrorCode, Forbidden, Refused
from services.domain.ids import new_id
from services.domain.media_types import MediaType
from services.domain.posts import MediaKind
from services.domain.viewers import Scope
from services.queries.uploads import find_uploads
from tests.media_files import a_picture, a_video
from tests.rig import refused
from tests.uploading import NOON, Uploading, uploading


@pytest.fixture
async def up(database: AsyncEngine, database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Uploading]:
    """The service on the run's servers; the tables are emptied afterwards."""
    async with uploading(database_url=database_url, redis_url=redis_url, folder=tmp_path / "media") as made:
        yield made


async def test_store_file_keeps_every_byte_and_what_was_measured(up: Uploading) -> None:
    """The file in the store, its facts in the table, both the same when they are read again."""
    viewer = await up.a_viewer()
    content = a_video(1080, 1920, 7.5)

    upload = await up.service.store_file(viewer, io.BytesIO(content))

    assert (upload.kind, upload.type, upload.size_bytes) == (MediaKind.VIDEO, MediaType.MP4, len(content))
    assert (upload.width, upload.height, upload.duration_seconds) == (1080, 1920, 7.5)
    assert upload.created_at == NOON
    assert await up.service.find_upload(viewer, upload.id) == upload
    pieces = [piece async for piece in await up.service.read_file(upload, 0, upload.size_bytes)]
    assert b"".join(pieces) == content


async def test_refused_file_leaves_nothing(up: Uploading) -> None:
    """Neither a file nor a row."""
    viewer = await up.a_viewer()

    with pytest.raises(Refused):
        await up.service.store_file(viewer, io.BytesIO(b"GIF89a"))

    assert up.files() == []
    async with up.database.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM uploads")) == 0


async def test_file_whose_row_cannot_be_written_is_removed(up: Uploading) -> None:
    """A file that nothing names would be kept for ever."""
    viewer = await up.a_viewer()
    nobody = replace(viewer, user=replace(viewer.user, id=new_id()))

    with pytest.raises(IntegrityError):
        await up.service.store_file(nobody, io.BytesIO(a_picture()))

    assert up.files() == []


async def test_credential_that_may_only_read_stores_nothing(up: Uploading) -> None:
    """Storing is writing."""
    viewer = await up.a_viewer(scope=Scope.READ)

    with pytest.raises(Forbidden):
        await up.service.store_file(viewer, io.BytesIO(a_picture()))

    assert up.files() == []


async def test_find_upload_shows_nobody_elses(up: Uploading) -> None:
    """Somebody else's upload looks like a missing one; without an owner named, all are found."""
    ada, bob = await up.a_viewer(), await up.a_viewer()
    upload = await up.service.store_file(ada, io.BytesIO(a_picture()))

    assert await up.service.find_upload(bob, upload.id) is None
    assert await up.service.find_upload(ada, new_id()) is None
    async with up.database.connect() as connection:
        assert await find_uploads(connection, [upload.id, new_id()], owner=None) == {upload.id: upload}
        assert await find_uploads(connection, [upload.id], owner=bob.user.id) == {}


async def test_one_key_stores_one_file_however_many_ask_at_once(up: Uploading) -> None:
    """50 parallel calls: one upload, and one file in the store."""
    viewer = await up.a_viewer()
    content = a_picture()

    made = await asyncio.gather(
        *(up.service.store_file(viewer, io.BytesIO(content), idempotency_key="once") for _ in range(50))
    )

    assert len({upload.id for upload in made}) == 1
    [file] = up.files()
    assert file.read_bytes() == content
    async with up.database.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM uploads")) == 1


async def test_key_with_another_file_is_refused(up: Uploading) -> None:
    """Nothing is kept of it; somebody else's key is another."""
    ada, bob = await up.a_viewer(), await up.a_viewer()
    first = await up.service.store_file(ada, io.BytesIO(a_picture()), idempotency_key="k")

    with refused(ErrorCode.IDEMPOTENCY_MISMATCH, "idempotencyKey"):
        await up.service.store_file(ada, io.BytesIO(a_picture(64, 64)), idempotency_key="k")
    assert len(up.files()) == 1
    theirs = await up.service.store_file(bob, io.BytesIO(a_picture()), idempotency_key="k")
    assert theirs.id != first.id


async def test_repeat_brings_back_a_file_that_was_taken_away(up: Uploading) -> None:
    """Where nobody knew whether the first call was committed its file was removed; its row may stand all the same."""
    viewer = await up.a_viewer()
    content = a_picture()
    first = await up.service.store_file(viewer, io.BytesIO(content), idempotency_key="k")
    for file in up.files():
        file.unlink()

    again = await up.service.store_file(viewer, io.BytesIO(content), idempotency_key="k")

    assert again == first
    pieces = [piece async for piece in await up.service.read_file(again, 0, again.size_bytes)]
    assert b"".join(pieces) == content
