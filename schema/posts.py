"""Posts and all that hangs below them, as GraphQL shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from resolvers.listings import Listing
from resolvers.posts import list_attempts
from schema.fields import field
from schema.info import Info
from schema.nodes import Node
from schema.options import TargetOptions
from schema.pages import After, Before, Connection, First, Last
from schema.scalars import Url
from schema.users import User
from services.domain import accounts, posts, viewers
from services.domain.errors import ErrorCode
from services.domain.options import TargetOptions as ChosenOptions
from services.domain.pages import ask_page

if TYPE_CHECKING:
    from schema.accounts import Account


@strawberry.type(description="Why a target is not out yet.")
class WaitingFor:
    """Read off a domain `WaitingFor`."""

    code: ErrorCode = strawberry.field(description="What it waits for, in one word.")
    message: str = strawberry.field(description="The same for people.")
    until: datetime | None = strawberry.field(description="Until when that holds, where somebody knows.")


@strawberry.type(description="What went wrong last.")
class LastError:
    """Read off a domain `LastError`."""

    code: ErrorCode = strawberry.field(description="What went wrong, in one word.")
    message: str = strawberry.field(description="What the platform said.")
    retryable: bool = strawberry.field(description="Whether the same may succeed later.")


@strawberry.type(description="One step towards a platform: written down once, never changed.")
class Attempt(Node):
    """Read off a domain `Attempt`."""

    stands_for = posts.Attempt

    number: int = strawberry.field(description="Which try of its target it belongs to, counted from 1.")
    step: str = strawberry.field(description="What was tried.")
    started_at: datetime = strawberry.field(description="When it began.")
    ended_at: datetime = strawberry.field(description="When it was over.")
    outcome: posts.AttemptOutcome = strawberry.field(description="How it ended.")
    code: ErrorCode | None = strawberry.field(description="Why it ended so, in one word.")
    message: str | None = strawberry.field(description="Why it ended so, in the platform's words.")


@strawberry.type(description="A picture or video of a post.")
class Media(Node):
    """Read off a domain `Media`."""

    stands_for = posts.Media

    kind: posts.MediaKind = strawberry.field(description="Picture or video.")
    url: Url = strawberry.field(description="Where platforms fetch it.")
    position: int = strawberry.field(description="Its place among the post's media, counted from 0.")
    alt_text: str | None = strawberry.field(description="What it shows, for those who cannot see it.")
    width: int | None = strawberry.field(description="Pixels across, where known.")
    height: int | None = strawberry.field(description="Pixels down, where known.")
    duration_seconds: float | None = strawberry.field(description="How long a video runs, where known.")


@strawberry.type(description="A post on its way to one account.")
class PostTarget(Node):
    """Read off a domain `PostTarget`."""

    stands_for = posts.PostTarget

    platform: accounts.Platform = strawberry.field(description="Where the account is.")
    status: posts.TargetStatus = strawberry.field(description="Where it stands.")
    caption: str | None = strawberry.field(description="What is said here instead of the post's own caption.")
    attempt_count: int = strawberry.field(description="How often it was tried.")
    next_attempt_at: datetime | None = strawberry.field(description="When it is tried next.")
    waiting_for: WaitingFor | None = strawberry.field(description="Why it is not out yet; null if just for its time.")
    last_error: LastError | None = strawberry.field(description="What went wrong last.")
    platform_post_id: str | None = strawberry.field(description="The platform's own id of the published post.")
    permalink: Url | None = strawberry.field(description="Where people see the published post.")
    published_at: datetime | None = strawberry.field(description="When it went out.")

    @field(TargetOptions | None, "What was chosen for this platform.")
    @staticmethod
    def options(root: strawberry.Parent[posts.PostTarget]) -> ChosenOptions | None:
        """Only says the union to GraphQL; the value is the domain's own."""
        return root.options

    @field(Annotated["Account", strawberry.lazy("schema.accounts")], "Where it goes.")
    @staticmethod
    async def account(root: strawberry.Parent[posts.PostTarget], info: Info) -> accounts.Account | None:
        """By loader."""
        return await info.context.loaders.accounts.load(root.account_id)

    @field(Connection[Attempt], "Everything that was tried, the oldest first.")
    @staticmethod
    def attempts(
        root: strawberry.Parent[posts.PostTarget],
        info: Info,
        *,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Listing[posts.Attempt]:
        """By loader, one statement for all targets of the level."""
        page = ask_page(first=first, after=after, last=last, before=before)
        return list_attempts(info.context, root.id, page)


@strawberry.type(description="What a person wants to say, where and when.")
class Post(Node):
    """Read off a domain `Post`."""

    stands_for = posts.Post

    caption: str = strawberry.field(description="What is said.")
    link: Url | None = strawberry.field(description="What it points to.")
    status: posts.PostStatus = strawberry.field(description="Where it stands as a whole.")
    scheduled_at: datetime | None = strawberry.field(description="When it goes out; null for a draft.")
    published_at: datetime | None = strawberry.field(description="When it first was out anywhere.")
    created_at: datetime = strawberry.field(description="When it was written.")
    updated_at: datetime = strawberry.field(description="When it or one of its targets last changed.")
    version: int = strawberry.field(description="Rises with every change of it or of one of its targets.")

    @field(User, "Whose it is.")
    @staticmethod
    async def author(root: strawberry.Parent[posts.Post], info: Info) -> viewers.User | None:
        """By loader."""
        return await info.context.loaders.users.load(root.user_id)

    @field(list[PostTarget], "Where it goes, in the order of choosing.")
    @staticmethod
    async def targets(root: strawberry.Parent[posts.Post], info: Info) -> Sequence[posts.PostTarget]:
        """By loader."""
        return await info.context.loaders.targets.load(root.id)

    @field(list[Media], "Its pictures and videos, in order.")
    @staticmethod
    async def media(root: strawberry.Parent[posts.Post], info: Info) -> Sequence[posts.Media]:
        """By loader."""
        return await info.context.loaders.media.load(root.id)
