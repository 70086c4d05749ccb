"""Reading posts: by id, in pages, and in pages per account."""

from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Subquery, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.pages import Page, PageRequest, Place, cut_page
from services.domain.posts import Post, PostFilter, PostOrder
from services.models import ACCOUNTS, POSTS, TARGETS
from services.queries.keyset import Keyset
from services.queries.rows import post_from

_BY_CALENDAR = Keyset(POSTS.c.id, POSTS.c.calendar_at, False, lambda row: Place(row.id, row.calendar_at))
_BY_CREATION = Keyset(POSTS.c.id, POSTS.c.created_at, False, lambda row: Place(row.id, row.created_at))
BY_ORDER = {
    PostOrder.SCHEDULED_AT_ASC: _BY_CALENDAR,
    PostOrder.SCHEDULED_AT_DESC: replace(_BY_CALENDAR, descending=True),
    PostOrder.CREATED_AT_ASC: _BY_CREATION,
    PostOrder.CREATED_AT_DESC: replace(_BY_CREATION, descending=True),
}
# One account's calendar is read off its targets, whose index has it in order.
_BY_ACCOUNT_CALENDAR = replace(_BY_CALENDAR, id=TARGETS.c.post_id, at=TARGETS.c.calendar_at)
BY_ACCOUNT_ORDER = BY_ORDER | {
    PostOrder.SCHEDULED_AT_ASC: _BY_ACCOUNT_CALENDAR,
    PostOrder.SCHEDULED_AT_DESC: replace(_BY_ACCOUNT_CALENDAR, descending=True),
}


async def find_posts(c: AsyncConnection, ids: Sequence[UUID], *, owner: UUID | None) -> dict[UUID, Post]:
    """The posts behind these ids, without those that are absent or somebody else's."""
    statement = select(POSTS).where(POSTS.c.id.in_(ids), *owned_by(owner))
    return {row.id: post_from(row._mapping) for row in await c.execute(statement)}


async def page_posts(
    c: AsyncConnection, *, owner: UUID | None, wanted: PostFilter, order: PostOrder, page: PageRequest
) -> Page[Post]:
    """One page of posts."""
    keyset = BY_ORDER[order]
    statement = select(POSTS).where(*owned_by(owner), *matching(wanted))
    rows = (await c.execute(keyset.apply(statement, page))).all()
    return _cut(list(rows), page, keyset)


async def count_posts(c: AsyncConnection, *, owner: UUID | None, wanted: PostFilter) -> int:
    """How many posts a list holds in all."""
    statement = select(func.count()).select_from(POSTS).where(*owned_by(owner), *matching(wanted))
    return (await c.execute(statement)).scalar_one()


async def page_account_posts(
    c: AsyncConnection,
    account_ids: Sequence[UUID],
    *,
    owner: UUID | None,
    wanted: PostFilter,
    order: PostOrder,
    page: PageRequest,
) -> dict[UUID, Page[Post]]:
    """One page of posts for each account, all in one statement: the limit holds per account."""
    keyset = BY_ACCOUNT_ORDER[order]
    accounts = _account_list(account_ids, owner)
    of_account = keyset.apply(_posts_of(accounts.c.id).where(*matching(wanted)), page).lateral("page")
    statement = select(accounts.c.id.label("account_id"), of_account).select_from(accounts.join(of_account, true()))
    rows: dict[UUID, list[Any]] = {account_id: [] for account_id in account_ids}
    for row in await c.execute(statement):
        rows[row.account_id].append(row)
    # A lateral join keeps no order that SQL promises, so each account's few rows are put in order here.
    for found in rows.values():
        found.sort(key=lambda row: astuple(keyset.place(row))[::-1], reverse=keyset.descending != page.backward)
    return {account_id: _cut(found, page, keyset) for account_id, found in rows.items()}


async def count_account_posts(
    c: AsyncConnection, account_ids: Sequence[UUID], *, owner: UUID | None, wanted: PostFilter
) -> dict[UUID, int]:
    """How many posts each account's list holds in all."""
    accounts = _account_list(account_ids, owner)
    found = _posts_of(accounts.c.id).where(*matching(wanted))
    counted = found.with_only_columns(func.count(), maintain_column_froms=True).scalar_subquery()
    rows = await c.execute(select(accounts.c.id, counted.label("total")))
    return dict.fromkeys(account_ids, 0) | {row.id: row.total for row in rows}


def owned_by(owner: UUID | None) -> list[ColumnElement[bool]]:
    """Confinement to one owner; None is an operator's unrestricted look."""
    return [] if owner is None else [POSTS.c.user_id == owner]


def matching(wanted: PostFilter) -> list[ColumnElement[bool]]:
    """A filter as conditions on `posts`."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.statuses is not None:
        conditions.append(POSTS.c.status.in_(wanted.statuses))
    if wanted.scheduled_from is not None:
        conditions.append(POSTS.c.scheduled_at.is_not(None))
        conditions.append(POSTS.c.calendar_at >= wanted.scheduled_from)
    if wanted.scheduled_to is not None:
        conditions.append(POSTS.c.scheduled_at.is_not(None))
        conditions.append(POSTS.c.calendar_at < wanted.scheduled_to)
    if wanted.search:
        conditions.append(POSTS.c.caption.icontains(wanted.search, autoescape=True))
    if wanted.platforms is not None:
        conditions.append(_has_target(TARGETS.c.platform.in_(wanted.platforms)))
    if wanted.account_ids is not None:
        conditions.append(_has_target(TARGETS.c.account_id.in_(wanted.account_ids)))
    return conditions


def _has_target(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(TARGETS.c.post_id == POSTS.c.id, condition).correlate(POSTS)


def _account_list(account_ids: Sequence[UUID], owner: UUID | None) -> Subquery:
    """The owner's own among these accounts. Whose an account is, its posts are: looking at the account alone leaves the
    planner's estimate of how many posts it has undisturbed."""
    mine = [] if owner is None else [ACCOUNTS.c.user_id == owner]
    return select(ACCOUNTS.c.id).where(ACCOUNTS.c.id.in_(account_ids), *mine).subquery("parents")


def _posts_of(account_id: ColumnElement[UUID]) -> Select[Any]:
    return select(POSTS).join(TARGETS, TARGETS.c.post_id == POSTS.c.id).where(TARGETS.c.account_id == account_id)


def _cut(rows: list[Any], page: PageRequest, keyset: Keyset) -> Page[Post]:
    cut = cut_page(rows, page, keyset.place)
    nodes = tuple(post_from(row._mapping) for row in cut.nodes)
    return Page(nodes, cut.cursors, cut.has_next, cut.has_previous)
