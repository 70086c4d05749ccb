"""Lists of accounts."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from resolvers.cached import cached
from resolvers.context import Context
from resolvers.listings import Listing
from services.domain.accounts import Account, AccountFilter
from services.domain.pages import Page, PageRequest
from services.queries.accounts import count_accounts, page_accounts
from services.queries.states import account_tag


def list_accounts(
    context: Context, wanted: AccountFilter, page: PageRequest, *, user_id: str | None
) -> Listing[Account]:
    """The viewer's accounts, or those of whom an operator names."""
    owner = context.whose_list(user_id)
    return Listing(
        page=partial(context.once, read_account_page, owner, wanted, page),
        count=partial(context.once, count_account_list, owner, wanted),
    )


@cached(tags=lambda owner, wanted, page: (account_tag(owner),))
async def read_account_page(context: Context, owner: UUID, wanted: AccountFilter, page: PageRequest) -> Page[Account]:
    """One page of somebody's accounts."""
    async with context.connect() as connection:
        return await page_accounts(connection, owner=owner, wanted=wanted, page=page)


@cached(tags=lambda owner, wanted: (account_tag(owner),))
async def count_account_list(context: Context, owner: UUID, wanted: AccountFilter) -> int:
    """How long a list of somebody's accounts is."""
    async with context.connect() as connection:
        return await count_accounts(connection, owner=owner, wanted=wanted)
