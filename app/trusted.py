"""The file that names the documents to be trusted, as the usual tools write it."""

from pathlib import Path

import orjson

from app.settings import SettingsError
from schema.extensions.persisted import TrustedDocuments

_APOLLO = "apollo-persisted-query-manifest"


def read_trusted(path: Path | None) -> TrustedDocuments | None:
    """What Relay's compiler writes (`{id: text}`), or Apollo's manifest; None without a file.

    Raises SettingsError where there is no such file, or no such thing in it.
    """
    if path is None:
        return None
    try:
        manifest = orjson.loads(path.read_bytes())
        if isinstance(manifest, dict) and manifest.get("format") == _APOLLO:
            manifest = {operation["id"]: operation["body"] for operation in manifest["operations"]}
        by_id = {name.lower(): text for name, text in manifest.items() if isinstance(text, str)}
    except (OSError, orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise SettingsError(f"TRUSTED_DOCUMENTS: {path} cannot be read as a manifest of documents") from error
    if len(by_id) < len(manifest):
        raise SettingsError(f"TRUSTED_DOCUMENTS: {path} holds what is no document")
    return TrustedDocuments(by_id)
