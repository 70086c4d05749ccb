"""What can be asked. Every root field may be null, so that one that fails leaves the others their answers."""

from collections.abc import Sequence
from typing import Annotated

import strawberry

from resolvers import operations as operators
from resolvers.accounts import list_accounts
from resolvers.listings import Listing
from resolvers.loaders import PostsAsked
from resolvers.nodes import Named, find_node, find_nodes
from resolvers.posts import list_posts
from schema.access import OPERATOR, SIGNED_IN
from schema.accounts import Account
from schema.conversions import read_account_filter, read_failed_filter, read_id, read_post_filter, read_user_filter
from schema.fields import field
from schema.filters import AccountFilter, FailedFilter, Order, PostFilter, UserFilter
from schema.info import Info
from schema.nodes import Node
from schema.operations import (
    AccountGroup,
    AuditEntry,
    CacheStats,
    CircuitBreaker,
    FailureGroup,
    Health,
    Queue,
    RateLimit,
    Worker,
)
from schema.pages import After, Before, Connection, First, Last
from schema.posts import Post
from schema.users import User
from services.domain.accounts import Account as AccountValue
from services.domain.accounts import Platform
from services.domain.breakers import BreakerStats
from services.domain.caching import CacheStats as CacheStatsValue
from services.domain.changes import FailedFilter as FailedFilterValue
from services.domain.health import HealthReport
from services.domain.ids import Kind
from services.domain.limits import RateLimit as RateLimitValue
from services.domain.operations import AccountGroup as AccountGroupValue
from services.domain.operations import AuditEntry as AuditEntryValue
from services.domain.operations import FailureGroup as FailureGroupValue
from services.domain.operations import QueueStats, WorkerInfo
from services.domain.pages import ask_page
from services.domain.posts import Post as PostValue
from services.domain.posts import PostOrder
from services.domain.viewers import User as UserValue

Name = Annotated[str, strawberry.argument(description="Which one, such as `instagram-api`.")]


@strawberry.type(description="What can be asked.")
class Query:
    """`health` is open to everybody; each other field says who may ask."""

    @field(User | None, "Who asks.", SIGNED_IN)
    @staticmethod
    def viewer(info: Info) -> UserValue:
        """Known already."""
        return info.context.asker.user

    @field(Connection[Post] | None, "The viewer's posts; for operators those of `filter.userId`.", SIGNED_IN)
    @staticmethod
    def posts(
        info: Info,
        *,
        wanted: Annotated[
            PostFilter | None, strawberry.argument(name="filter", description="Which posts; all without it.")
        ] = None,
        order_by: Order = PostOrder.SCHEDULED_AT_ASC,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Listing[PostValue]:
        """Cached."""
        page = ask_page(first=first, after=after, last=last, before=before)
        asked = PostsAsked(read_post_filter(wanted), order_by, page)
        return list_posts(info.context, asked, user_id=None if wanted is None else wanted.user_id)

    @field(Post | None, "One post; null if there is none such of yours.", SIGNED_IN)
    @staticmethod
    async def post(
        info: Info, key: Annotated[strawberry.ID, strawberry.argument(name="id", description="Which post.")]
    ) -> PostValue | None:
        """By loader."""
        return await info.context.loaders.posts.load(read_id(Kind.POST, key))

    @field(
        Connection[Account] | None,
        "The viewer's accounts in the order of connecting; for operators those of `filter.userId`.",
        SIGNED_IN,
    )
    @staticmethod
    def accounts(
        info: Info,
        *,
        wanted: Annotated[
            AccountFilter | None, strawberry.argument(name="filter", description="Which accounts; all without it.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Listing[AccountValue]:
        """Cached."""
        page = ask_page(first=first, after=after, last=last, before=before)
        return list_accounts(
            info.context, read_account_filter(wanted), page, user_id=None if wanted is None else wanted.user_id
        )

    @field(Account | None, "One account; null if there is none such of yours.", SIGNED_IN)
    @staticmethod
    async def account(
        info: Info, key: Annotated[strawberry.ID, strawberry.argument(name="id", description="Which account.")]
    ) -> AccountValue | None:
        """By loader."""
        return await info.context.loaders.accounts.load(read_id(Kind.ACCOUNT, key))

    @field(Node | None, "Any object; null if there is none such of yours.", SIGNED_IN)
    @staticmethod
    async def node(
        info: Info, key: Annotated[strawberry.ID, strawberry.argument(name="id", description="Which object.")]
    ) -> Named | None:
        """By loader."""
        return await find_node(info.context, key)

    @field(
        list[Node | None] | None,
        "Any objects, in the order asked; null in the place of each that is none of yours.",
        SIGNED_IN,
    )
    @staticmethod
    async def nodes(
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Which objects, at most 100.")],
    ) -> Sequence[Named | None]:
        """By loader."""
        return await find_nodes(info.context, ids)

    @field(RateLimit | None, "How much the viewer may still publish on a platform in this hour.", SIGNED_IN)
    @staticmethod
    async def rate_limit(
        info: Info, platform: Annotated[Platform, strawberry.argument(description="On which platform.")]
    ) -> RateLimitValue | None:
        """By loader."""
        return await info.context.loaders.rate_limits.load((info.context.asker.user.id, platform))

    @field(Health | None, "How this process, and all that it needs, is doing.")
    @staticmethod
    async def health(info: Info) -> HealthReport:
        """Open to everybody."""
        return await info.context.services.health.check()

    @field(list[CircuitBreaker] | None, "Operators only: all circuit breakers.", OPERATOR)
    @staticmethod
    async def circuit_breakers(info: Info) -> Sequence[BreakerStats]:
        """Live."""
        return await info.context.services.breakers.list_stats()

    @field(CircuitBreaker | None, "Operators only: one circuit breaker.", OPERATOR)
    @staticmethod
    async def circuit_breaker(info: Info, name: Name) -> BreakerStats | None:
        """Live."""
        return await operators.find_breaker(info.context, name)

    @field(list[RateLimit] | None, "Operators only: how much a user may still publish.", OPERATOR)
    @staticmethod
    async def rate_limits(
        info: Info,
        user_id: Annotated[strawberry.ID, strawberry.argument(description="Whose limits.")],
        platform: Annotated[
            Platform | None, strawberry.argument(description="On which platform; all without it.")
        ] = None,
    ) -> Sequence[RateLimitValue]:
        """Live."""
        platforms = list(Platform) if platform is None else [platform]
        return await operators.read_rate_limits(info.context, read_id(Kind.USER, user_id), platforms)

    @field(CacheStats | None, "Operators only: how the cache serves.", OPERATOR)
    @staticmethod
    async def cache_stats(info: Info) -> CacheStatsValue:
        """Live."""
        return await info.context.services.cache.stats()

    @field(Queue | None, "Operators only: where targets stand.", OPERATOR)
    @staticmethod
    async def queue(info: Info) -> QueueStats:
        """Live."""
        return await operators.read_queue(info.context)

    @field(list[Worker] | None, "Operators only: the workers heard of within the last hour.", OPERATOR)
    @staticmethod
    async def workers(info: Info) -> Sequence[WorkerInfo]:
        """Live."""
        return await operators.list_workers(info.context)

    @field(
        list[FailureGroup] | None,
        "Operators only: what `retryFailed` with the same filter would send again, by reason, the most frequent first.",
        OPERATOR,
    )
    @staticmethod
    async def failures(
        info: Info,
        *,
        wanted: Annotated[
            FailedFilter | None, strawberry.argument(name="filter", description="Which targets; all without it.")
        ] = None,
    ) -> Sequence[FailureGroupValue]:
        """Live."""
        return await operators.list_failures(
            info.context, FailedFilterValue() if wanted is None else read_failed_filter(wanted)
        )

    @field(list[AccountGroup] | None, "Operators only: everybody's accounts, by platform and state.", OPERATOR)
    @staticmethod
    async def account_groups(info: Info) -> Sequence[AccountGroupValue]:
        """Live."""
        return await operators.list_account_groups(info.context)

    @field(
        Connection[User] | None, "Operators only: people and operators, the newest first, to name in filters.", OPERATOR
    )
    @staticmethod
    def users(
        info: Info,
        *,
        wanted: Annotated[
            UserFilter | None, strawberry.argument(name="filter", description="Which users; all without it.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Listing[UserValue]:
        """Live."""
        page = ask_page(first=first, after=after, last=last, before=before)
        return operators.list_users(info.context, read_user_filter(wanted), page)

    @field(Connection[AuditEntry] | None, "Operators only: what operators did, the newest first.", OPERATOR)
    @staticmethod
    def audit_log(
        info: Info, *, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Listing[AuditEntryValue]:
        """Live."""
        return operators.list_audit_log(info.context, ask_page(first=first, after=after, last=last, before=before))
