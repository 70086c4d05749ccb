"""Reading the ledger of attempts, and adding to it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.pages import Page, PageRequest, Place, cut_page
from services.domain.posts import Attempt
from services.models import ATTEMPTS, TARGETS
from services.queries.keyset import Keyset
from services.queries.rows import attempt_from

IN_ORDER = Keyset(ATTEMPTS.c.id, None, False, lambda row: Place(row.id))


async def page_attempts(
    c: AsyncConnection, target_ids: Sequence[UUID], *, page: PageRequest
) -> dict[UUID, Page[Attempt]]:
    """One page of each target's ledger, oldest first, all in one statement."""
    targets = select(func.unnest(literal(list(target_ids), ARRAY(Uuid))).label("id")).subquery("targets")
    own = IN_ORDER.apply(select(ATTEMPTS).where(ATTEMPTS.c.target_id == targets.c.id), page).lateral("page")
    rows: dict[UUID, list[Any]] = {target_id: [] for target_id in target_ids}
    for row in await c.execute(select(own).select_from(targets.join(own, true()))):
        rows[row.target_id].append(row)
    for found in rows.values():
        found.sort(key=lambda row: row.id, reverse=page.backward)
    return {target_id: _cut(found, page) for target_id, found in rows.items()}


async def count_attempts(c: AsyncConnection, target_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many lines each target's ledger has."""
    statement = (
        select(ATTEMPTS.c.target_id, func.count().label("total"))
        .where(ATTEMPTS.c.target_id.in_(target_ids))
        .group_by(ATTEMPTS.c.target_id)
    )
    return dict.fromkeys(target_ids, 0) | {row.target_id: row.total for row in await c.execute(statement)}


async def find_attempts(c: AsyncConnection, ids: Sequence[UUID], *, owner: UUID | None) -> dict[UUID, Attempt]:
    """The lines behind these ids, without those that are absent or somebody else's."""
    statement = select(ATTEMPTS).where(ATTEMPTS.c.id.in_(ids))
    if owner is not None:
        statement = statement.join(TARGETS, TARGETS.c.id == ATTEMPTS.c.target_id).where(TARGETS.c.user_id == owner)
    return {row.id: attempt_from(row._mapping) for row in await c.execute(statement)}


def _cut(rows: list[Any], page: PageRequest) -> Page[Attempt]:
    cut = cut_page(rows, page, IN_ORDER.place)
    nodes = tuple(attempt_from(row._mapping) for row in cut.nodes)
    return Page(nodes, cut.cursors, cut.has_next, cut.has_previous)
