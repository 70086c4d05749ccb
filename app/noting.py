"""What the log and the metrics are told of an operation, whatever it came by."""

from collections.abc import AsyncGenerator, Mapping, MutableMapping
from contextlib import aclosing
from typing import Any, Protocol

from app.answers import codes_of
from schema.documents import PREPARED, PreparedDocument
from services.domain.viewers import Viewer

_LONGEST_NAME = 64


class Meter(Protocol):
    """Whoever counts requests and operations, by what is noted of them for the log."""

    in_progress: int

    def note_http(self, path: str, noted: Mapping[str, Any], seconds: float) -> None:
        """A request was answered."""
        ...

    def note_operation(self, noted: Mapping[str, Any], seconds: float) -> None:
        """An operation of a socket ended."""
        ...

    def note_event(self) -> None:
        """A subscription sent something."""
        ...


def note_asked(noted: MutableMapping[str, Any], asked_name: str | None, viewer: Viewer | None) -> None:
    """Who asks, and what for in the client's own words, which may be of any length."""
    noted["operation"] = None if asked_name is None else asked_name[:_LONGEST_NAME]
    noted["viewer"] = None if viewer is None else viewer.credential


def note_found(noted: MutableMapping[str, Any], asked_name: str | None, extras: Mapping[str, object]) -> None:
    """What the operation turned out to be; nothing where its document was not one that is run."""
    prepared = extras.get(PREPARED)
    facts = prepared.facts_of(asked_name) if isinstance(prepared, PreparedDocument) else None
    if facts is not None:
        noted["operation"] = facts.name
        noted["kind"] = facts.kind
        noted["field"] = facts.field


async def noting(
    results: AsyncGenerator[Any, None],
    noted: MutableMapping[str, Any],
    *,
    asked_name: str | None,
    extras: Mapping[str, object],
    meter: Meter,
) -> AsyncGenerator[Any, None]:
    """The same results, with what they show of the operation written down."""
    async with aclosing(results):
        async for result in results:
            if "kind" not in noted:
                note_found(noted, asked_name, extras)
            noted["codes"].extend(codes_of(result))
            if noted.get("kind") == "subscription":
                meter.note_event()
            yield result
