"""QueryOptimizerService: what was selected decides what is read, in one statement that answers with finished JSON.

A question's shape (fields, names, which arguments are given) is compiled once; values are parameters. What a mapping
does not know is left to the dataloaders, which are always correct.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from services.domain.selection import TYPENAME, Hole, ListAsked, ListShape, Question, Root, Selection
from services.queries.mappings import MAPPINGS
from services.queries.mappings.connections import CONNECTION_FIELDS, EDGE_FIELDS
from services.queries.mappings.fields import Elsewhere
from services.queries.optimizer_statements import StatementWriter

MOST_FIELDS = 500
"""A statement with more takes PostgreSQL longer to plan than the loaders take to answer."""
LONGEST_NAME = 63
"""Names that nobody would type make statements long; whoever asks under a longer one is answered by the loaders."""

_DIALECT: Dialect = dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's
_Shape = tuple[Root, Selection, tuple[ListShape, ...], bool]


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement for all questions of one shape: it gives the answer as JSON, holes open; no row, or null, where
    there is nothing to show."""

    sql: str
    parameters: tuple[str, ...]
    digest: str
    """Names the statement, the same in every process."""
    holes: tuple[Hole, ...]
    shown: frozenset[str]
    """The types whose objects may be in the answer."""


class QueryOptimizerService:
    """Plans questions; keeps the last `capacity` plans."""

    def __init__(self, *, capacity: int = 500) -> None:
        self._capacity = capacity
        self._plans: OrderedDict[_Shape, Plan | None] = OrderedDict()

    def __len__(self) -> int:
        """How many shapes are known."""
        return len(self._plans)

    def plan(self, question: Question) -> Plan | None:
        """The plan; None where one statement cannot answer."""
        shape = (
            question.root,
            question.selection,
            tuple(asked.shape() for asked in question.lists),
            question.reach is not None,
        )
        if shape in self._plans:
            self._plans.move_to_end(shape)
            return self._plans[shape]
        plan = self._plans[shape] = _write_plan(*shape) if is_mapped(question.selection) else None
        if len(self._plans) > self._capacity:
            self._plans.popitem(last=False)
        return plan


def is_mapped(selection: Selection) -> bool:
    """Whether one statement can give everything that is selected."""
    fields = list(islice(_walk(selection), MOST_FIELDS + 1))
    return len(fields) <= MOST_FIELDS and all(
        len(key) <= LONGEST_NAME and _is_known(of, name) for of, name, key in fields
    )


def values_of(plan: Plan, question: Question) -> tuple[Any, ...]:
    """The question's values in the order of the plan's parameters."""
    values: dict[str, Any] = {"owner": question.owner, "reach": question.reach}
    if question.root is Root.ONE and question.names[0] is not None:
        values["key"] = question.names[0][1]
    if question.root is Root.MANY:
        values["kinds"] = [None if name is None else name[0].value for name in question.names]
        values["keys"] = [None if name is None else name[1] for name in question.names]
    for place, asked in enumerate(question.lists):
        values.update((f"{name}_{place}", value) for name, value in _list_values(asked))
    return tuple(values[name] for name in plan.parameters)


def _list_values(asked: ListAsked) -> Iterator[tuple[str, Any]]:
    page = asked.page
    yield "size", page.size
    yield "limit", page.size + 1
    for name, place in (("after", page.after), ("before", page.before)):
        if place is not None:
            yield f"{name}_at", place.at
            yield f"{name}_id", place.id
    for name, value in asked.filters().items():
        if name == "search":
            yield name, value.replace("/", "//").replace("%", "/%").replace("_", "/_")
        else:
            yield name, list(value) if isinstance(value, tuple) else value


def _write_plan(root: Root, selection: Selection, shapes: Sequence[ListShape], is_confined: bool) -> Plan | None:
    writer = StatementWriter(shapes=shapes, is_confined=is_confined)
    compiled = writer.write(root, selection).compile(dialect=_DIALECT)
    sql = str(compiled)
    return Plan(
        sql=sql,
        parameters=tuple(compiled.positiontup or ()),
        digest=blake2b(sql.encode(), digest_size=16).hexdigest(),
        holes=tuple(writer.holes),
        shown=frozenset(writer.shown),
    )


def _walk(selection: Selection) -> Iterator[tuple[str, str, str]]:
    """Type, name and key of every field, but not of what lies below a hole."""
    stack = [selection]
    while stack:
        for of, fields in stack.pop().by_type.items():
            for field in fields:
                yield of, field.name, field.key
                if field.below is not None and not _is_hole(of, field.name):
                    stack.append(field.below)


def _is_hole(of: str, name: str) -> bool:
    mapping = MAPPINGS.get(of)
    return mapping is not None and isinstance(mapping.fields.get(name), Elsewhere)


def _is_known(of: str, name: str) -> bool:
    if name == TYPENAME:
        return True
    if of in MAPPINGS:
        return name in MAPPINGS[of].fields
    return name in (CONNECTION_FIELDS if of.endswith("Connection") else EDGE_FIELDS if of.endswith("Edge") else ())
