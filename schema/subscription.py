"""What can be watched: the current state first, then every change with its whole state."""

from collections.abc import AsyncIterator
from typing import Annotated

import strawberry

from resolvers.events import watch_post, watch_posts
from schema.access import SIGNED_IN
from schema.fields import subscription
from schema.info import Info
from schema.posts import Post
from services.domain.posts import Post as PostValue


@strawberry.type(description="What can be watched.")
class Subscription:
    """Only the viewer's own, operators included."""

    @subscription(
        Post | None,
        "One post: as it is now, then after each change. Null, and the end, once there is no such post of yours.",
        SIGNED_IN,
    )
    @staticmethod
    async def post_changed(
        info: Info, key: Annotated[strawberry.ID, strawberry.argument(name="id", description="Which post.")]
    ) -> AsyncIterator[PostValue | None]:
        """Watches for deletion, too."""
        async for post in watch_post(info.context, key):
            yield post

    @subscription(
        Post,
        "All posts: each of the next 200 still to come as it is now, then each that changes or is new. "
        "That one was deleted is told by `postChanged` alone.",
        SIGNED_IN,
    )
    @staticmethod
    async def posts_changed(info: Info) -> AsyncIterator[PostValue]:
        """The soonest first."""
        async for post in watch_posts(info.context):
            yield post
