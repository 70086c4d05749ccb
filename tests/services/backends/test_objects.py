"""The object store in a folder and over S3's protocol: both behave alike."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.backends.objects import PART_BYTES, ObjectStore
from services.domain.errors import NotFound, Unavailable
from tests.s3_server import S3Server
from tests.serving import served

LARGE = bytes(range(256)) * (PART_BYTES // 256 * 2 + 100)
"""More than two parts."""


@dataclass
class Place:
    """A store and, where it is one, the S3 server behind it."""

    store: ObjectStore
    s3: S3Server | None = None


@pytest.fixture(params=["folder", "s3"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    """Each kind of place."""
    if request.param == "folder":
        yield Place(ObjectStore.at(str(tmp_path / "media")))
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    s3 = S3Server()
    async with served(s3.app()) as origin:
        yield Place(ObjectStore.at(f"s3://bucket/crier?endpoint={origin}&region=eu-central-1"), s3)


async def read(store: ObjectStore, path: str, start: int, end: int) -> bytes:
    """A part of a file in one piece."""
    return b"".join([piece async for piece in await store.read(path, start, end)])


@pytest.mark.parametrize("content", [b"x", b"hello" * 1000, LARGE], ids=["tiny", "small", "large"])
async def test_write_and_read_give_back_every_byte(place: Place, content: bytes) -> None:
    """A file of several parts as well as a tiny one."""
    await place.store.write("user/a.bin", io.BytesIO(content))

    assert await read(place.store, "user/a.bin", 0, len(content)) == content


async def test_read_gives_the_part_that_is_asked_for(place: Place) -> None:
    """From the first byte up to before the last."""
    await place.store.write("a", io.BytesIO(LARGE))

    assert await read(place.store, "a", 1_000_001, 1_700_000) == LARGE[1_000_001:1_700_000]
    assert await read(place.store, "a", len(LARGE) - 1, len(LARGE)) == LARGE[-1:]


async def test_read_of_an_absent_file_says_so_before_the_first_byte(place: Place) -> None:
    """So that an answer can still be chosen."""
    with pytest.raises(NotFound):
        await place.store.read("missing", 0, 1)


async def test_removed_file_is_gone_and_may_be_removed_again(place: Place) -> None:
    """Removing is idempotent."""
    await place.store.write("a", io.BytesIO(b"abc"))

    await place.store.remove("a")
    await place.store.remove("a")

    with pytest.raises(NotFound):
        await place.store.read("a", 0, 1)


async def test_file_that_breaks_off_is_not_stored(place: Place) -> None:
    """Whole or not at all."""

    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > PART_BYTES:
                raise OSError("the disk is gone")
            return super().read(size)

    with pytest.raises(Unavailable):
        await place.store.write("a", Breaking(LARGE))
    with pytest.raises(NotFound):
        await place.store.read("a", 0, 1)


@pytest.mark.parametrize("place", ["s3"], indirect=True)
async def test_store_that_refuses_is_unavailable(place: Place) -> None:
    """A store that lets nobody in is away, not empty."""
    assert place.s3 is not None
    place.s3.is_down = True

    with pytest.raises(Unavailable):
        await place.store.write("a", io.BytesIO(b"abc"))


@pytest.mark.parametrize("place", ["ftp://host/x", "https://host/x", "s3://bucket?nonsense=1"])
def test_at_refuses_other_places(place: str) -> None:
    """A place that we cannot use is an error at start."""
    with pytest.raises(ValueError, match=place.partition(":")[0]):
        ObjectStore.at(place)


async def test_path_never_leaves_its_folder(tmp_path: Path) -> None:
    """Dots in a path climb nowhere."""
    store = ObjectStore.at(str(tmp_path / "media"))

    with pytest.raises(ValueError, match="illegal"):
        await store.write("../outside", io.BytesIO(b"abc"))
    assert not (tmp_path / "outside").exists()
