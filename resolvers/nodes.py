"""Any object by its id."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from resolvers.context import Context
from services.domain.accounts import Account
from services.domain.errors import ErrorCode, refuse
from services.domain.ids import Kind, decode_id
from services.domain.posts import Attempt, Media, Post, PostTarget
from services.domain.viewers import User

Named = User | Account | Post | PostTarget | Media | Attempt

MOST_NODES = 100


async def find_node(context: Context, text: str) -> Named | None:
    """The object, if it is the viewer's; operators find everybody's."""
    decoded = decode_id(text)
    if decoded is None:
        return None
    loaders = context.loaders
    match decoded:
        case Kind.POST, key:
            return await loaders.posts.load(key)
        case Kind.ACCOUNT, key:
            return await loaders.accounts.load(key)
        case Kind.TARGET, key:
            return await loaders.single_targets.load(key)
        case Kind.MEDIA, key:
            return await loaders.single_media.load(key)
        case Kind.ATTEMPT, key:
            return await loaders.single_attempts.load(key)
        case Kind.USER, key if context.asker.is_admin or key == context.asker.user.id:
            return await loaders.users.load(key)
    return None


async def find_nodes(context: Context, texts: Sequence[str]) -> list[Named | None]:
    """The objects in the order asked, null in place of each that `find_node` does not find."""
    if len(texts) > MOST_NODES:
        message = f"Ask for at most {MOST_NODES} ids at once, not {len(texts)}."
        raise refuse(ErrorCode.VALIDATION_FAILED, message, "ids")
    return list(await asyncio.gather(*(find_node(context, text) for text in texts)))
