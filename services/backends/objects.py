"""Files that outlive a process: in a local folder, or in any store that speaks S3."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from services.domain.errors import NotFound, Unavailable

PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 4
"""So one file on its way to S3 takes at most 32 MiB of memory."""
CHUNK_BYTES = 256 * 1024
MOST_RETRIES = 3
RETRY_TIME = timedelta(seconds=15)
"""For one request to S3: somebody waits for the answer."""


class ObjectStore:
    """Writes a file whole or not at all, and reads any part of it; a path always has the same bytes."""

    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store = store

    @classmethod
    def at(cls, place: str) -> Self:
        """The store in a folder, or behind `s3://bucket/prefix?endpoint=https://…&region=…`.

        Keys come from where AWS tools look for them: AWS_ACCESS_KEY_ID and the like, or the machine's role. Raises
        ValueError for a place that is neither.
        """
        parts = urlsplit(place)
        if parts.scheme == "s3":
            options = dict(parse_qsl(parts.query))
            allow_http = options.get("endpoint", "").startswith("http://")
            try:
                return cls(
                    S3Store.from_url(
                        f"s3://{parts.netloc}{parts.path}",
                        config=options,  # type: ignore[arg-type] # a bad name is refused at run time
                        client_options={"allow_http": allow_http},
                        retry_config={"max_retries": MOST_RETRIES, "retry_timeout": RETRY_TIME},
                    )
                )
            except BaseError as error:
                raise ValueError(f"{place}: {error}") from error
        if parts.scheme in ("", "file"):
            return cls(LocalStore(Path(parts.path).absolute(), mkdir=True))
        raise ValueError(f"{place} is neither a folder nor an s3:// URL")

    async def write(self, path: str, file: BinaryIO) -> None:
        """Store what is left to read of `file`; nobody sees it before it is whole."""
        with _told_plainly():
            await obstore.put_async(self._store, path, file, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)

    async def read(self, path: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to before `end`, piece by piece. Raises NotFound where there is no file."""
        with _told_plainly():
            found = await obstore.get_async(self._store, path, options={"range": (start, end)})
        return _pieces(found)

    async def remove(self, path: str) -> None:
        """Forget a file; one that is not there is forgotten already."""
        try:
            with _told_plainly():
                await obstore.delete_async(self._store, path)
        except NotFound:
            return


async def _pieces(found: "obstore.GetResult") -> AsyncIterator[bytes]:
    with _told_plainly():
        async for piece in found.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(piece)


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("There is no such file.") from error
    except (BaseError, OSError) as error:
        raise Unavailable("The media store cannot be reached.", retry_after=5) from error
