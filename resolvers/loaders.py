"""All reads of one operation, through dataloaders: each batch is one statement, confined to an owner in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from resolvers.batching import BatchLoader, Read
from services.domain.accounts import Account, Platform
from services.domain.breakers import BreakerStats
from services.domain.limits import RateLimit
from services.domain.pages import Page, PageRequest
from services.domain.posts import Attempt, Media, Post, PostFilter, PostOrder, PostState, PostTarget
from services.domain.viewers import User, Viewer
from services.guards.circuit_breaker import CircuitBreakerService
from services.guards.rate_limiter import RateLimiterService
from services.queries import accounts, attempts, media, posts, targets, users

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
A = TypeVar("A", bound=Hashable)

NOTHING: Page[Any] = Page((), (), has_next=False, has_previous=False)

Connect = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
Find = Callable[[AsyncConnection, Sequence[UUID]], Awaitable[Mapping[UUID, V]]]
OnBatch = Callable[[str, int], None]
PerParent = Callable[[AsyncConnection, Sequence[UUID], A], Awaitable[Mapping[UUID, V]]]


@dataclass(frozen=True, slots=True)
class PostsAsked:
    """What is asked of a list of posts, whosever it is."""

    wanted: PostFilter
    order: PostOrder
    page: PageRequest


class Loaders:
    """Made for one operation and its viewer; operators find by id what is others'."""

    def __init__(
        self,
        *,
        connect: Connect,
        limits: RateLimiterService,
        breakers: CircuitBreakerService,
        viewer: Viewer,
        on_batch: OnBatch | None = None,
    ) -> None:
        """`on_batch` hears which loader read, and how many keys at once."""
        self._connect = connect
        self._limits = limits
        self._breakers = breakers
        self._owner = None if viewer.is_admin else viewer.user.id
        self._on_batch = on_batch
        self._opened: list[BatchLoader[Any, Any]] = []

    @cached_property
    def users(self) -> BatchLoader[UUID, User | None]:
        """By id."""
        return self._find("users", users.find_users)

    @cached_property
    def accounts(self) -> BatchLoader[UUID, Account | None]:
        """By id."""
        return self._find("accounts", lambda c, ids: accounts.find_accounts(c, ids, owner=self._owner))

    @cached_property
    def posts(self) -> BatchLoader[UUID, Post | None]:
        """By id."""
        return self._find("posts", lambda c, ids: posts.find_posts(c, ids, owner=self._owner))

    @cached_property
    def single_targets(self) -> BatchLoader[UUID, PostTarget | None]:
        """By the target's own id."""
        return self._find("single_targets", lambda c, ids: targets.find_targets(c, ids, owner=self._owner))

    @cached_property
    def single_media(self) -> BatchLoader[UUID, Media | None]:
        """By the medium's own id."""
        return self._find("single_media", lambda c, ids: media.find_media(c, ids, owner=self._owner))

    @cached_property
    def single_attempts(self) -> BatchLoader[UUID, Attempt | None]:
        """By the attempt's own id."""
        return self._find("single_attempts", lambda c, ids: attempts.find_attempts(c, ids, owner=self._owner))

    @cached_property
    def targets(self) -> BatchLoader[UUID, Sequence[PostTarget]]:
        """By the post's id."""
        return self._open("targets", self._reading(targets.load_targets), ())

    @cached_property
    def media(self) -> BatchLoader[UUID, Sequence[Media]]:
        """By the post's id."""
        return self._open("media", self._reading(media.load_media), ())

    @cached_property
    def account_posts(self) -> BatchLoader[tuple[UUID, PostsAsked], Page[Post]]:
        """By account and page."""
        return self._per_parent(
            "account_posts",
            lambda c, ids, asked: posts.page_account_posts(
                c, ids, owner=self._owner, wanted=asked.wanted, order=asked.order, page=asked.page
            ),
            NOTHING,
        )

    @cached_property
    def account_post_counts(self) -> BatchLoader[tuple[UUID, PostFilter], int]:
        """By account and filter."""
        return self._per_parent(
            "account_post_counts",
            lambda c, ids, wanted: posts.count_account_posts(c, ids, owner=self._owner, wanted=wanted),
            0,
        )

    @cached_property
    def attempts(self) -> BatchLoader[tuple[UUID, PageRequest], Page[Attempt]]:
        """By target and page."""
        return self._per_parent("attempts", lambda c, ids, page: attempts.page_attempts(c, ids, page=page), NOTHING)

    @cached_property
    def attempt_counts(self) -> BatchLoader[UUID, int]:
        """By target."""
        return self._open("attempt_counts", self._reading(attempts.count_attempts), 0)

    @cached_property
    def rate_limits(self) -> BatchLoader[tuple[UUID, Platform], RateLimit | None]:
        """By user and platform."""

        async def read(keys: Sequence[tuple[UUID, Platform]]) -> Mapping[tuple[UUID, Platform], RateLimit]:
            named = [(user_key(user_id), platform) for user_id, platform in keys]
            return dict(zip(keys, await self._limits.load_rate_limit_infos(named), strict=True))

        return self._open("rate_limits", read, None)

    @cached_property
    def breakers(self) -> BatchLoader[str, BreakerStats | None]:
        """By name; operators' doings by hand are shown to operators."""

        async def read(names: Sequence[str]) -> Mapping[str, BreakerStats]:
            found = await self._breakers.load_stats(names)
            shown = found if self._owner is None else [stats.without_operators() for stats in found]
            return dict(zip(names, shown, strict=True))

        return self._open("breakers", read, None)

    def prime(self, state: PostState) -> Post:
        """Take over a post just written or told, so that nobody reads it again."""
        key = state.post.id
        self.posts.clear(key).prime(key, state.post)
        self.targets.clear(key).prime(key, state.targets)
        self.media.clear(key).prime(key, state.media)
        for account in state.accounts:
            self.accounts.clear(account.id).prime(account.id, account)
        return state.post

    def forget(self) -> None:
        """Read everything anew from here on: something has changed."""
        for loader in self._opened:
            loader.clear_all()

    async def close(self) -> None:
        """End what still loads."""
        for loader in self._opened:
            await loader.close()

    def _open(self, name: str, read: Read[K, V], absent: V) -> BatchLoader[K, V]:
        loader = BatchLoader(self._counted(name, read), absent)
        self._opened.append(loader)
        return loader

    def _counted(self, name: str, read: Read[K, V]) -> Read[K, V]:
        tell = self._on_batch
        if tell is None:
            return read

        async def counted(keys: Sequence[K]) -> Mapping[K, V]:
            tell(name, len(keys))
            return await read(keys)

        return counted

    def _find(self, name: str, find: Find[V]) -> BatchLoader[UUID, V | None]:
        return self._open(name, self._reading(find), None)

    def _reading(self, find: Find[V]) -> Read[UUID, V]:
        async def read(ids: Sequence[UUID]) -> Mapping[UUID, V]:
            async with self._connect() as connection:
                return await find(connection, ids)

        return read

    def _per_parent(self, name: str, read: PerParent[A, V], absent: V) -> BatchLoader[tuple[UUID, A], V]:
        """Keys are parents with arguments: one statement for all parents that are asked the same."""

        async def read_all(keys: Sequence[tuple[UUID, A]]) -> Mapping[tuple[UUID, A], V]:
            parents = defaultdict(list)
            for parent, asked in keys:
                parents[asked].append(parent)
            found = {}
            async with self._connect() as connection:
                for asked, ids in parents.items():
                    answers = await read(connection, ids, asked)
                    found.update({(parent, asked): answer for parent, answer in answers.items()})
            return found

        return self._open(name, read_all, absent)


def user_key(user_id: UUID) -> str:
    """What a user's publications are counted by."""
    return f"user:{user_id}"
