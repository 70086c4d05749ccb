"""For every mutation, what to ask for: of something that is Ada's, new each time, and such that it comes about."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import update

from services.domain.accounts import Platform
from services.domain.ids import Kind, decode_id_of, encode_id
from services.models import TARGETS
from tests.authorisation.world import World
from tests.graphql_api import account_id, in_hours, user_id

Wish = Callable[[World], Awaitable[dict[str, Any]]]


async def _post(world: World) -> str:
    return await world.api.schedule(world.ada, world.accounts[Platform.FACEBOOK])


async def _target(world: World, **values: Any) -> tuple[str, str]:
    """A post and its target, which stands as it is told."""
    post = await _post(world)
    key = decode_id_of(Kind.POST, post)
    async with world.database.begin() as c:
        change = update(TARGETS).where(TARGETS.c.post_id == key).values(**values).returning(TARGETS.c.id)
        return post, encode_id(Kind.TARGET, (await c.execute(change)).scalar_one())


async def _draft(world: World) -> dict[str, Any]:
    return {"caption": "New", "accountIds": [account_id(world.accounts[Platform.FACEBOOK])]}


async def _timed_draft(world: World) -> dict[str, Any]:
    return await _draft(world) | {"scheduledAt": in_hours(2)}


async def _id(world: World) -> dict[str, Any]:
    return {"id": await _post(world)}


async def _update(world: World) -> dict[str, Any]:
    return {"id": await _post(world), "caption": "Changed"}


async def _reschedule(world: World) -> dict[str, Any]:
    return {"id": await _post(world), "scheduledAt": in_hours(3)}


async def _retry(world: World) -> dict[str, Any]:
    post, _ = await _target(world, status="FAILED", next_attempt_at=None)
    return {"id": post}


async def _confirm(world: World) -> dict[str, Any]:
    _, target = await _target(world, status="UNCONFIRMED", next_attempt_at=None)
    return {"targetId": target, "permalink": "https://example.test/seen"}


async def _connect(world: World) -> dict[str, Any]:
    return {"platform": "FACEBOOK"}


async def _disconnect(world: World) -> dict[str, Any]:
    return {"id": account_id(await world.api.add_account(world.ada))}


async def _breaker(world: World) -> dict[str, Any]:
    return {"name": Platform.YOUTUBE.breaker}


async def _limit(world: World) -> dict[str, Any]:
    return {"userId": user_id(world.ada), "platform": "YOUTUBE"}


async def _failed(world: World) -> dict[str, Any]:
    await _target(world, status="FAILED", next_attempt_at=None)
    return {"userId": user_id(world.ada)}


WISHES: dict[str, Wish] = {
    "schedulePost": _timed_draft,
    "createDraft": _draft,
    "updatePost": _update,
    "reschedulePost": _reschedule,
    "cancelPost": _id,
    "publishPostNow": _id,
    "deletePost": _id,
    "retryPost": _retry,
    "confirmPublished": _confirm,
    "connectAccount": _connect,
    "disconnectAccount": _disconnect,
    "openCircuitBreaker": _breaker,
    "closeCircuitBreaker": _breaker,
    "resetCircuitBreaker": _breaker,
    "resetRateLimit": _limit,
    "retryFailed": _failed,
}
