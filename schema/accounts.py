"""Connected accounts as GraphQL shows them."""

from datetime import datetime
from typing import Annotated

import strawberry

from resolvers.listings import Listing
from resolvers.loaders import PostsAsked
from resolvers.posts import list_account_posts
from schema.conversions import read_post_filter
from schema.fields import field
from schema.filters import Order, PostFilter
from schema.info import Info
from schema.nodes import Node
from schema.operations import CircuitBreaker, RateLimit
from schema.pages import After, Before, Connection, First, Last
from schema.posts import Post
from schema.scalars import Url
from services.domain import accounts, breakers, limits
from services.domain import posts as domain_posts
from services.domain.pages import ask_page


@strawberry.type(description="An account on a platform, connected by its owner.")
class Account(Node):
    """Read off a domain `Account`. What lives in Redis may be null, so that without it accounts still show."""

    stands_for = accounts.Account

    platform: accounts.Platform = strawberry.field(description="Where it is.")
    handle: str = strawberry.field(description="Its name there, as people write it.")
    display_name: str = strawberry.field(description="Its name there, as people read it.")
    avatar_url: Url | None = strawberry.field(description="Its picture.")
    status: accounts.AccountStatus = strawberry.field(description="Whether it can publish.")
    expires_at: datetime | None = strawberry.field(description="When its token ends; null if it does not.")
    expiry_warning: int | None = strawberry.field(
        description="Its token ends within so many days, 14, 7 or 1: connect it again. Null: nothing is to be done."
    )

    @field(RateLimit | None, "What its owner may still publish on this platform in this hour.")
    @staticmethod
    async def rate_limit(root: strawberry.Parent[accounts.Account], info: Info) -> limits.RateLimit | None:
        """By loader."""
        return await info.context.loaders.rate_limits.load((root.user_id, root.platform))

    @field(CircuitBreaker | None, "The breaker before its platform's API.")
    @staticmethod
    async def circuit_breaker(root: strawberry.Parent[accounts.Account], info: Info) -> breakers.BreakerStats | None:
        """By loader."""
        return await info.context.loaders.breakers.load(root.platform.breaker)

    @field(Connection[Post], "The posts that go to this account.")
    @staticmethod
    def posts(
        root: strawberry.Parent[accounts.Account],
        info: Info,
        *,
        wanted: Annotated[
            PostFilter | None,
            strawberry.argument(name="filter", description="Which posts; `userId` says nothing here."),
        ] = None,
        order_by: Order = domain_posts.PostOrder.SCHEDULED_AT_ASC,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Listing[domain_posts.Post]:
        """By loader, one statement for all accounts of the level."""
        page = ask_page(first=first, after=after, last=last, before=before)
        return list_account_posts(info.context, root.id, PostsAsked(read_post_filter(wanted), order_by, page))
