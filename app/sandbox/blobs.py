"""The bytes of what was published, kept for the feed page: in memory, and in a folder where the sandbox has one."""

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import Final

MEMORY_BYTES: Final = 192 * 1024 * 1024
FOLDER_BYTES: Final = 1024 * 1024 * 1024

MEDIA_TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "mp4": "video/mp4",
}


class Blobs:
    """Content by its own digest, so that a picture posted a thousand times is kept once.

    Bounded: the longest unused leave memory first, and a full folder takes nothing more; the page then shows a blank.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._memory_bytes = 0
        self._folder_bytes = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder_bytes = sum(path.stat().st_size for path in folder.iterdir())

    def put(self, content: bytes, suffix: str) -> str:
        """Keep content under a key that ends in its kind (see MEDIA_TYPES)."""
        key = f"{hashlib.sha256(content).hexdigest()[:32]}.{suffix}"
        if key not in self._memory:
            self._remember(key, content)
            self._write(key, content)
        return key

    def find(self, key: str) -> bytes | None:
        """The bytes under a key, or None where they were never or are no longer kept."""
        content = self._memory.get(key)
        if content is not None:
            self._memory.move_to_end(key)
            return content
        if self._folder is None or not _is_key(key) or not (self._folder / key).exists():
            return None
        content = (self._folder / key).read_bytes()
        self._remember(key, content)
        return content

    def _remember(self, key: str, content: bytes) -> None:
        self._memory[key] = content
        self._memory_bytes += len(content)
        while self._memory_bytes > MEMORY_BYTES and len(self._memory) > 1:
            _, forgotten = self._memory.popitem(last=False)
            self._memory_bytes -= len(forgotten)

    def _write(self, key: str, content: bytes) -> None:
        if self._folder is None or (self._folder / key).exists():
            return
        if self._folder_bytes + len(content) <= FOLDER_BYTES:
            (self._folder / key).write_bytes(content)
            self._folder_bytes += len(content)


def _is_key(key: str) -> bool:
    digest, _, suffix = key.partition(".")
    return len(digest) == 32 and digest.isalnum() and suffix in MEDIA_TYPES
