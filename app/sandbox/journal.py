"""The sandbox's memory across restarts: one JSON object per line, the last word on a record counts."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError

from app.sandbox.records import Account, Person, Publication, Token

Record = Person | Account | Token | Publication


class _Line(BaseModel):
    """One record under its name; exactly one of them is there."""

    person: Person | None = None
    account: Account | None = None
    token: Token | None = None
    publication: Publication | None = None

    @property
    def record(self) -> Record | None:
        return self.person or self.account or self.token or self.publication


class Journal:
    """Appends records to a file and reads them back; without a path it forgets, which is what short tests want."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def replay(self) -> Iterator[Record]:
        """Every record in the order it was written; a line that a kill cut short is left out."""
        if self._path is None or not self._path.exists():
            return
        with self._path.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    record = _Line.model_validate_json(line).record
                except ValidationError:
                    continue
                if record is not None:
                    yield record

    def rewrite(self, records: Iterable[Record]) -> None:
        """Begin anew with these records only; the old file stays until the new one is whole."""
        if self._path is None:
            return
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.writelines(_line(record) for record in records)
        fresh.replace(self._path)
        self._file = self._path.open("a", encoding="utf-8")

    def append(self, record: Record) -> None:
        """Write one record, past this process's own death though not past the machine's."""
        if self._file is None:
            return
        self._file.write(_line(record))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _line(record: Record) -> str:
    named = _Line.model_validate({type(record).__name__.lower(): record})
    return named.model_dump_json(exclude_defaults=True) + "\n"
