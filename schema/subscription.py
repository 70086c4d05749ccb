"""What can be watched: the current state first, then every change with its whole state.

Where a state's rows hold all that was selected, it is told as finished JSON. Else it is executed like any query, and
what did not come with it is read.
"""

from collections.abc import AsyncIterator
from typing import Annotated

import orjson
import strawberry

from resolvers.events import Tell, watch_post, watch_posts
from schema.access import SIGNED_IN
from schema.fields import subscription
from schema.info import Info
from schema.posts import Post
from schema.rendered import read_outline
from services.domain.posts import Post as PostValue
from services.queries.showing import show_posts
from services.queries.states import StateRows, state_from_json

Shown = PostValue | orjson.Fragment


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
    ) -> AsyncIterator[Shown | None]:
        """Watches for deletion, too."""
        async for post in watch_post(info.context, key, _telling(info)):
            yield post

    @subscription(
        Post,
        "All posts: each of the next 200 still to come as it is now, then each that changes or is new. "
        "That one was deleted is told by `postChanged` alone.",
        SIGNED_IN,
    )
    @staticmethod
    async def posts_changed(info: Info) -> AsyncIterator[Shown]:
        """The soonest first."""
        async for post in watch_posts(info.context, _telling(info)):
            yield post


def _telling(info: Info) -> Tell[Shown]:
    context, show = info.context, show_posts(read_outline(info._raw_info).selection)

    def tell(state: StateRows) -> Shown:
        shown = None if show is None else show(state)
        if shown is not None:
            return orjson.Fragment(shown)
        context.forget()  # each change is an execution of its own: only what came with it is known
        return context.loaders.prime(state_from_json(state))

    return tell
