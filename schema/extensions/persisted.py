"""Documents that are known by their hash: `extensions.persistedQuery {version: 1, sha256Hash}`, Apollo's protocol.

A client sends the hash alone; where nobody knows it, it is answered PERSISTED_QUERY_NOT_FOUND and sends hash and text
once. Where an operator names the documents that he trusts, nothing else is run, however it is sent.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from strawberry.extensions import SchemaExtension

from schema.documents import PREPARED, PreparedDocument
from services.backends.documents import digest_of
from services.domain.errors import CrierError, ErrorCode

_VERSION = 1


class Texts(Protocol):
    """Whoever keeps the texts."""

    async def find(self, digest: str) -> str | None:
        """The text behind a hash."""
        ...

    async def keep(self, text: str) -> None:
        """Let it be found from now on."""
        ...


class UnknownDocument(CrierError):
    """Only a hash was sent, and nobody knows it; clients of the protocol look for these words."""

    code = ErrorCode.PERSISTED_QUERY_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")


class UntrustedDocument(CrierError):
    """A document that the operator does not name."""

    code = ErrorCode.DOCUMENT_NOT_TRUSTED

    def __init__(self) -> None:
        super().__init__("This server runs only documents that it knows.")


class BadReference(CrierError):
    """A reference to a document that makes no sense."""

    code = ErrorCode.BAD_REQUEST


class TrustedDocuments:
    """The only documents that are run, by the ids that clients call them by: their SHA-256, as a rule."""

    def __init__(self, by_id: Mapping[str, str]) -> None:
        self._by_id = dict(by_id)
        self._texts = frozenset(by_id.values())

    def find(self, reference: str | None, text: str) -> str:
        """The text to run. Raises UntrustedDocument."""
        known = self._by_id.get(reference) if reference is not None else text if text in self._texts else None
        if known is None or text not in ("", known):
            raise UntrustedDocument
        return known


class PersistedDocuments(SchemaExtension):
    """Finds the text of a document that came as a hash; with `trusted`, nothing else is run."""

    def __init__(self, *, texts: Texts, trusted: TrustedDocuments | None = None) -> None:
        self._texts = texts
        self._trusted = trusted

    async def on_operation(self) -> AsyncIterator[None]:
        """Find it before it is parsed; let it be found by others once it has proved to be fit to run."""
        operation = self.execution_context
        reference = _read_reference(operation.operation_extensions)
        text = operation.query or ""
        if self._trusted is not None:
            operation.query = self._trusted.find(reference, text)
        elif reference is not None and not text:
            operation.query = await self._find(reference)
        elif reference not in (None, digest_of(text)):
            raise BadReference("`sha256Hash` is not the SHA-256 of `query`.")
        yield
        is_new = reference is not None and text and self._trusted is None
        if is_new and operation.context.viewer is not None and _is_fit(operation.context.extras):
            await self._texts.keep(text)

    async def _find(self, reference: str) -> str:
        text = await self._texts.find(reference)
        if text is None:
            raise UnknownDocument
        return text


def _read_reference(extensions: Mapping[str, Any] | None) -> str | None:
    """The hash that a request names; None where it names none. Raises BadReference."""
    named = None if extensions is None else extensions.get("persistedQuery")
    if named is None:
        return None
    digest = named.get("sha256Hash") if isinstance(named, Mapping) else None
    if not isinstance(named, Mapping) or named.get("version") != _VERSION or not isinstance(digest, str):
        raise BadReference("`persistedQuery` is `{version: 1, sha256Hash: <64 hex digits>}`.")
    return digest.lower()


def _is_fit(extras: Mapping[str, Any]) -> bool:
    prepared = extras.get(PREPARED)
    return isinstance(prepared, PreparedDocument) and prepared.errors == ()
