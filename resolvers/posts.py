"""Lists of posts, and of what was tried for them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import UUID

from resolvers.cached import cached
from resolvers.context import Context
from resolvers.listings import Listing
from resolvers.loaders import PostsAsked
from services.domain.pages import Page, PageRequest
from services.domain.posts import Attempt, Post, PostFilter
from services.queries.posts import count_posts, page_posts
from services.queries.states import post_tag

KEPT_FOR = timedelta(seconds=300)


def list_posts(context: Context, asked: PostsAsked, *, user_id: str | None) -> Listing[Post]:
    """The viewer's posts, or those of whom an operator names."""
    owner = context.whose_list(user_id)
    return Listing(
        page=partial(context.once, read_post_page, owner, asked),
        count=partial(context.once, count_post_list, owner, asked.wanted),
    )


def list_account_posts(context: Context, account_id: UUID, asked: PostsAsked) -> Listing[Post]:
    """The posts that go to one account."""
    loaders = context.loaders
    return Listing(
        page=partial(loaders.account_posts.load, (account_id, asked)),
        count=partial(loaders.account_post_counts.load, (account_id, asked.wanted)),
    )


def list_attempts(context: Context, target_id: UUID, page: PageRequest) -> Listing[Attempt]:
    """What was tried for one target."""
    loaders = context.loaders
    return Listing(
        page=partial(loaders.attempts.load, (target_id, page)), count=partial(loaders.attempt_counts.load, target_id)
    )


@cached(ttl=KEPT_FOR, tags=lambda owner, asked: (post_tag(owner),))
async def read_post_page(context: Context, owner: UUID, asked: PostsAsked) -> Page[Post]:
    """One page of somebody's posts."""
    async with context.connect() as connection:
        return await page_posts(connection, owner=owner, wanted=asked.wanted, order=asked.order, page=asked.page)


@cached(ttl=KEPT_FOR, tags=lambda owner, wanted: (post_tag(owner),))
async def count_post_list(context: Context, owner: UUID, wanted: PostFilter) -> int:
    """How long a list of somebody's posts is."""
    async with context.connect() as connection:
        return await count_posts(connection, owner=owner, wanted=wanted)
