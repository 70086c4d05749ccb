"""Reading accounts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.accounts import Account, AccountFilter, AccountStatus, Platform
from services.domain.operations import AccountGroup
from services.domain.pages import Page, PageRequest, Place, cut_page
from services.models import ACCOUNTS
from services.queries.keyset import Keyset
from services.queries.rows import account_from

IN_ORDER = Keyset(ACCOUNTS.c.id, None, False, lambda row: Place(row.id))
PUBLIC = [column for column in ACCOUNTS.c if column.name not in ("access_token", "refresh_token", "scopes")]


async def find_accounts(c: AsyncConnection, ids: Sequence[UUID], *, owner: UUID | None) -> dict[UUID, Account]:
    """The accounts behind these ids, without those that are absent or somebody else's."""
    statement = select(*PUBLIC).where(ACCOUNTS.c.id.in_(ids), *_owned_by(owner))
    return {row.id: account_from(row._mapping) for row in await c.execute(statement)}


async def page_accounts(
    c: AsyncConnection, *, owner: UUID | None, wanted: AccountFilter, page: PageRequest
) -> Page[Account]:
    """One page of accounts, in the order in which they were connected."""
    statement = select(*PUBLIC).where(*_owned_by(owner), *_matching(wanted))
    rows: list[Any] = list((await c.execute(IN_ORDER.apply(statement, page))).all())
    cut = cut_page(rows, page, IN_ORDER.place)
    nodes = tuple(account_from(row._mapping) for row in cut.nodes)
    return Page(nodes, cut.cursors, cut.has_next, cut.has_previous)


async def count_accounts(c: AsyncConnection, *, owner: UUID | None, wanted: AccountFilter) -> int:
    """How many accounts a list holds in all."""
    statement = select(func.count()).select_from(ACCOUNTS).where(*_owned_by(owner), *_matching(wanted))
    return (await c.execute(statement)).scalar_one()


async def group_accounts(c: AsyncConnection) -> tuple[AccountGroup, ...]:
    """Everybody's accounts by platform and state, in the order of these; looks at every one of them."""
    ends = ACCOUNTS.c.expires_at
    statement = select(
        ACCOUNTS.c.platform,
        ACCOUNTS.c.status,
        func.count().label("count"),
        func.min(ends).filter(ends > func.now()).label("next_expiry_at"),
    ).group_by(ACCOUNTS.c.platform, ACCOUNTS.c.status)
    groups = [
        AccountGroup(Platform(row.platform), AccountStatus(row.status), row[2], row.next_expiry_at)
        for row in await c.execute(statement)
    ]
    places = [*Platform, *AccountStatus]
    return tuple(sorted(groups, key=lambda group: (places.index(group.platform), places.index(group.status))))


def _owned_by(owner: UUID | None) -> list[ColumnElement[bool]]:
    return [] if owner is None else [ACCOUNTS.c.user_id == owner]


def _matching(wanted: AccountFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.platforms is not None:
        conditions.append(ACCOUNTS.c.platform.in_(wanted.platforms))
    if wanted.statuses is not None:
        conditions.append(ACCOUNTS.c.status.in_(wanted.statuses))
    return conditions
