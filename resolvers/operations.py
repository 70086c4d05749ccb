"""What operators read and do. What they do is written down first, so that nothing is done unseen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from resolvers.context import Context
from resolvers.listings import Listing
from resolvers.loaders import user_key
from services.backends.transactions import Transaction
from services.domain.accounts import Platform
from services.domain.breakers import BreakerStats
from services.domain.changes import FailedFilter
from services.domain.errors import ErrorCode, refuse
from services.domain.ids import Kind, encode_id
from services.domain.limits import RateLimit
from services.domain.operations import AccountGroup, AuditEntry, FailureGroup, QueueStats, WorkerInfo
from services.domain.pages import Page, PageRequest
from services.domain.viewers import User, UserFilter
from services.queries import accounts, failures, queue, users


class BreakerMove(StrEnum):
    """What an operator does to a breaker; the values are the mutations' names."""

    OPEN = "openCircuitBreaker"
    CLOSE = "closeCircuitBreaker"
    RESET = "resetCircuitBreaker"


async def find_breaker(context: Context, name: str) -> BreakerStats | None:
    """One breaker; None for a name that no platform has."""
    return next((stats for stats in await context.services.breakers.list_stats() if stats.name == name), None)


async def move_breaker(context: Context, name: str, move: BreakerMove) -> BreakerStats:
    """Open, close or reset a breaker. Raises Refused for an unknown name, Unavailable without Redis."""
    if await find_breaker(context, name) is None:
        raise refuse(ErrorCode.NOT_FOUND, "There is no such circuit breaker.", "name")
    await _write_down(context, move, name)

    breakers, operator = context.services.breakers, encode_id(Kind.USER, context.asker.user.id)
    match move:
        case BreakerMove.OPEN:
            return await breakers.force_open(name, by=operator)
        case BreakerMove.CLOSE:
            return await breakers.force_close(name, by=operator)
        case BreakerMove.RESET:
            return await breakers.reset(name, by=operator)


async def read_rate_limits(context: Context, user_id: UUID, platforms: list[Platform]) -> list[RateLimit]:
    """What a user may still publish on these platforms."""
    keys = [(user_key(user_id), platform) for platform in platforms]
    services = context.services
    question = ("rateLimits", *keys)
    return await services.last_known.read(question, lambda: services.limits.load_rate_limit_infos(keys))


async def reset_rate_limit(context: Context, user_id: UUID, platform: Platform) -> RateLimit:
    """Give a user the whole limit on one platform again. Raises Refused for an unknown user."""
    if await context.loaders.users.load(user_id) is None:
        raise refuse(ErrorCode.NOT_FOUND, "There is no such user.", "userId")
    await _write_down(context, "resetRateLimit", encode_id(Kind.USER, user_id), {"platform": platform})

    limits = context.services.limits
    await limits.reset(user_key(user_id), platform)
    return await limits.get_rate_limit_info(user_key(user_id), platform)


async def retry_failed(context: Context, wanted: FailedFilter, *, idempotency_key: str | None) -> int:
    """Send failed targets again; gives how many this call has sent."""
    detail = {
        "platforms": wanted.platforms,
        "codes": wanted.codes,
        "userId": None if wanted.user_id is None else encode_id(Kind.USER, wanted.user_id),
        "failedSince": None if wanted.failed_since is None else wanted.failed_since.isoformat(),
        "idempotencyKey": idempotency_key,
    }
    await _write_down(context, "retryFailed", "posts", {key: value for key, value in detail.items() if value})

    return await context.services.failed.retry_failed(context.asker, wanted, idempotency_key=idempotency_key)


async def read_queue(context: Context) -> QueueStats:
    """Where targets stand."""

    async def read() -> QueueStats:
        async with context.connect() as connection:
            return await queue.read_queue(connection)

    return await context.services.last_known.read("queue", read)


async def list_workers(context: Context) -> tuple[WorkerInfo, ...]:
    """Who works on them."""

    async def read() -> tuple[WorkerInfo, ...]:
        async with context.connect() as connection:
            return await queue.list_workers(connection)

    return await context.services.last_known.read("workers", read)


async def list_failures(context: Context, wanted: FailedFilter) -> tuple[FailureGroup, ...]:
    """What `retry_failed` would send again, by reason."""
    async with context.connect() as connection:
        return await failures.group_failures(connection, wanted)


async def list_account_groups(context: Context) -> tuple[AccountGroup, ...]:
    """Everybody's accounts, by platform and state."""
    async with context.connect() as connection:
        return await accounts.group_accounts(connection)


def list_users(context: Context, wanted: UserFilter, page: PageRequest) -> Listing[User]:
    """Whom operators may name, the newest first."""
    return Listing(
        page=partial(context.once, _read_users, wanted, page), count=partial(context.once, _count_users, wanted)
    )


def list_audit_log(context: Context, page: PageRequest) -> Listing[AuditEntry]:
    """What operators did, the newest first."""
    return Listing(page=partial(context.once, _read_audit_log, page), count=partial(context.once, _count_audit_log))


async def _read_users(context: Context, wanted: UserFilter, page: PageRequest) -> Page[User]:
    async with context.connect() as connection:
        return await users.page_users(connection, wanted=wanted, page=page)


async def _count_users(context: Context, wanted: UserFilter) -> int:
    async with context.connect() as connection:
        return await users.count_users(connection, wanted=wanted)


async def _read_audit_log(context: Context, page: PageRequest) -> Page[AuditEntry]:
    async with context.connect() as connection:
        return await queue.page_audit_log(connection, page=page)


async def _count_audit_log(context: Context) -> int:
    async with context.connect() as connection:
        return await queue.count_audit_log(connection)


async def _write_down(context: Context, action: str, subject: str, detail: Mapping[str, Any] | None = None) -> None:
    actor = context.asker.user.id

    async def insert(tx: Transaction) -> None:
        await queue.insert_audit(tx.connection, actor=actor, action=action, subject=subject, detail=detail)

    await context.services.transactions.execute_in_transaction(insert)
