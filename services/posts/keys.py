"""What an idempotency key of a post gives the second time."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.errors import ErrorCode, refuse
from services.domain.posts import PostState
from services.queries.states import read_state


async def read_fulfilled(c: AsyncConnection, owner: UUID, post_id: UUID) -> PostState:
    """The post of an earlier call with the same key, as it stands now."""
    state = await read_state(c, post_id, owner=owner)
    if state is None:
        raise refuse(ErrorCode.NOT_FOUND, "The post that this key stands for was deleted.", "idempotencyKey")
    return state
