"""The keys that encrypt: from the settings, or for a local run from a file that is made once."""

import os
import secrets
from pathlib import Path

from app.settings import Settings

FILE = "secret-key"


def find_secret_keys(settings: Settings) -> tuple[str, ...]:
    """SECRET_KEYS where they are set (production insists), else the data folder's own key."""
    return settings.secret_keys or (_local_key(settings.data_dir / FILE),)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _local_key(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()
