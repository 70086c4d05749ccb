"""Files that outlive a process: in a local folder, or in any store that speaks S3."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

from services.domain.errors import NotFound, Unavailable

if TYPE_CHECKING:  # 5 MB, which a process that keeps no files need not carry
    from obstore import GetResult
    from obstore.store import LocalStore, S3Store

PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 4
"""So one file on its way to S3 takes at most 32 MiB of memory."""
CHUNK_BYTES = 256 * 1024
MOST_RETRIES = 3
RETRY_TIME = timedelta(seconds=15)
"""For one request to S3: somebody waits for the answer."""


class ObjectStore:
    """Writes a file whole or not at all, and reads any part of it; a path always has the same bytes."""

    def __init__(self, open_store: "Callable[[], LocalStore | S3Store]") -> None:
        self._open_store = open_store

    @classmethod
    def at(cls, place: str) -> Self:
        """The store in a folder, or behind `s3://bucket/prefix?endpoint=https://…&region=…`.

        Keys come from where AWS tools look for them: AWS_ACCESS_KEY_ID and the like, or the machine's role. Raises
        ValueError for a place that is neither, and OSError for a folder that cannot be made.
        """
        parts = urlsplit(place)
        if parts.scheme == "s3":
            store = _open_s3(parts)  # now, though nobody needs it yet: a mistake in it is one to know at start
            return cls(lambda: store)
        if parts.scheme in ("", "file"):
            folder = Path(parts.path).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            return cls(partial(_open_folder, folder))
        raise ValueError(f"{place} is neither a folder nor an s3:// URL")

    async def write(self, path: str, file: BinaryIO) -> None:
        """Store what is left to read of `file`; nobody sees it before it is whole."""
        with _told_plainly():
            await self._store.put_async(path, file, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)

    async def read(self, path: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to before `end`, piece by piece. Raises NotFound where there is no file."""
        with _told_plainly():
            found = await self._store.get_async(path, options={"range": (start, end)})
        return _pieces(found)

    async def remove(self, path: str) -> None:
        """Forget a file; one that is not there is forgotten already."""
        try:
            with _told_plainly():
                await self._store.delete_async(path)
        except NotFound:
            return

    @cached_property
    def _store(self) -> "LocalStore | S3Store":
        return self._open_store()


def _open_folder(folder: Path) -> "LocalStore":
    from obstore.store import LocalStore

    return LocalStore(folder)


def _open_s3(parts: SplitResult) -> "S3Store":
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    bucket = f"s3://{parts.netloc}{parts.path}"  # all that an error may show: an option may be a secret
    options = dict(parse_qsl(parts.query))
    allow_http = options.get("endpoint", "").startswith("http://")
    try:
        return S3Store.from_url(
            bucket,
            config=options,  # type: ignore[arg-type] # a bad name is refused at run time
            client_options={"allow_http": allow_http},
            retry_config={"max_retries": MOST_RETRIES, "retry_timeout": RETRY_TIME},
        )
    except BaseError as error:
        raise ValueError(f"{bucket}: {error}") from error


async def _pieces(found: "GetResult") -> AsyncIterator[bytes]:
    with _told_plainly():
        async for piece in found.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(piece)


@contextmanager
def _told_plainly() -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("There is no such file.") from error
    except (BaseError, OSError) as error:
        raise Unavailable("The media store cannot be reached.", retry_after=5) from error
