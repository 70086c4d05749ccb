"""What operators look at, as GraphQL shows it."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from schema.fields import field
from schema.info import Info
from schema.users import User
from services.domain import accounts, breakers, errors, health, operations, viewers

AS_OF = "Of when this is; older than a moment while the database is away."


@strawberry.type(description="How much a person may still publish on one platform.")
class RateLimit:
    """Read off a domain `RateLimit`."""

    key: str = strawberry.field(description="By what it is counted.")
    platform: accounts.Platform = strawberry.field(description="On which platform.")
    limit: int = strawberry.field(description="So many publications fit into the window.")
    used: int = strawberry.field(description="So many are in it now.")
    remaining: int = strawberry.field(description="So many more may go now.")
    reset_at: datetime | None = strawberry.field(
        description="When the next place comes free; null while none is taken."
    )
    window_seconds: int = strawberry.field(description="How long the sliding window is.")
    as_of: datetime = strawberry.field(description=AS_OF)


@strawberry.type(description="One change of a circuit breaker.")
class Transition:
    """Read off a domain `Transition`."""

    from_state: breakers.BreakerState = strawberry.field(name="from", description="How it was.")
    to_state: breakers.BreakerState = strawberry.field(name="to", description="How it was from then on.")
    at: datetime = strawberry.field(description="When it changed.")
    reason: str = strawberry.field(description="Why it changed.")


@strawberry.type(description="Keeps calls from a platform that is failing.")
class CircuitBreaker:
    """Read off a domain `BreakerStats`."""

    name: str = strawberry.field(description="Which one, such as `instagram-api`.")
    state: breakers.BreakerState = strawberry.field(description="Whether calls pass.")
    failures: int = strawberry.field(description="Failures in a row.")
    threshold: int = strawberry.field(description="So many of them open it.")
    opened_at: datetime | None = strawberry.field(description="Since when it has been open; null while closed.")
    next_probe_at: datetime | None = strawberry.field(description="From when on one call passes to try.")
    forced_by: str | None = strawberry.field(description="The operator who opened it by hand; shown to operators.")
    last_transitions: list[Transition] = strawberry.field(description="Its last changes, the newest first.")
    is_stale: bool = strawberry.field(description="Whether this is one process's own memory, Redis being away.")


@strawberry.type(description="What one check found.")
class HealthCheck:
    """Read off a domain `HealthCheck`."""

    name: str = strawberry.field(description="What was looked at.")
    status: health.HealthStatus = strawberry.field(description="How it is doing.")
    latency_ms: float = strawberry.field(description="How long it took to find out, in milliseconds.")
    detail: str | None = strawberry.field(description="What there is to say about it.")


@strawberry.type(description="How this process, and all that it needs, is doing.")
class Health:
    """Read off a domain `HealthReport`."""

    status: health.HealthStatus = strawberry.field(description="As bad as the worst check.")
    version: str = strawberry.field(description="Crier's own version.")
    checks: list[HealthCheck] = strawberry.field(description="One by one.")


@strawberry.type(description="How many targets stand where, and how late they are.")
class Queue:
    """Read off a domain `QueueStats`."""

    due: int = strawberry.field(description="Waiting for a worker although their time has come.")
    scheduled: int = strawberry.field(description="Waiting for their time.")
    publishing: int = strawberry.field(description="On their way.")
    retrying: int = strawberry.field(description="Failed for now, to be tried again.")
    blocked: int = strawberry.field(description="Waiting for their account to be connected again.")
    unconfirmed: int = strawberry.field(description="Waiting for a person to say whether they are out.")
    oldest_due_at: datetime | None = strawberry.field(description="When the longest waiting of the due was due.")
    lateness_seconds: float = strawberry.field(description="How long that one has been waiting.")
    as_of: datetime = strawberry.field(description=AS_OF)


@strawberry.type(description="A worker process.")
class Worker:
    """Read off a domain `WorkerInfo`; not a `Node`, as it is gone when its process is."""

    @field(strawberry.ID, "Names the process.")
    @staticmethod
    def id(root: strawberry.Parent[operations.WorkerInfo]) -> strawberry.ID:
        """Kinds of nodes have prefixes; this is no node, but looks alike."""
        return strawberry.ID(f"worker_{root.id.hex}")

    started_at: datetime = strawberry.field(description="When it started.")
    last_beat_at: datetime = strawberry.field(description="When it last said that it lives.")
    publishing: int = strawberry.field(description="How many targets it has in hand.")
    as_of: datetime = strawberry.field(description=AS_OF)


@strawberry.type(description="Failed targets on one platform that failed for the same reason.")
class FailureGroup:
    """Read off a domain `FailureGroup`."""

    code: errors.ErrorCode = strawberry.field(description="Why they failed, in one word.")
    platform: accounts.Platform = strawberry.field(description="On which platform.")
    count: int = strawberry.field(description="How many there are.")
    last_failed_at: datetime | None = strawberry.field(description="When the latest of them failed.")
    message: str = strawberry.field(description="What was said of the latest.")


@strawberry.type(description="Everybody's accounts on one platform that are in the same state.")
class AccountGroup:
    """Read off a domain `AccountGroup`."""

    platform: accounts.Platform = strawberry.field(description="On which platform.")
    status: accounts.AccountStatus = strawberry.field(description="In which state.")
    count: int = strawberry.field(description="How many there are.")
    next_expiry_at: datetime | None = strawberry.field(
        description="When the next of their tokens ends; null where none will by itself."
    )


@strawberry.type(description="What an operator did.")
class AuditEntry:
    """Read off a domain `AuditEntry`."""

    at: datetime = strawberry.field(description="When it was done.")
    action: str = strawberry.field(description="What was done: the mutation's name.")
    subject: str = strawberry.field(description="To what it was done.")
    detail: JSON = strawberry.field(description="The rest of what was asked for.")

    @field(User | None, "Who did it; null if the user is gone.")
    @staticmethod
    async def actor(root: strawberry.Parent[operations.AuditEntry], info: Info) -> viewers.User | None:
        """By loader."""
        return await info.context.loaders.users.load(root.actor_id)


@strawberry.type(description="How often one resolver's answers came from the cache.")
class ResolverCacheStats:
    """Read off a domain `ResolverCacheStats`."""

    resolver: str = strawberry.field(description="Which one.")
    hits: int = strawberry.field(description="Answered from the cache.")
    stale: int = strawberry.field(description="Answered from the cache while it was being refreshed.")
    misses: int = strawberry.field(description="Answered by the database.")
    errors: int = strawberry.field(description="Answered by the database because the cache was away.")
    too_large: int = strawberry.field(description="Answers too large to keep.")
    hit_rate: float = strawberry.field(description="The share that needed no database, from 0 to 1.")


@strawberry.type(description="How the cache serves.")
class CacheStats:
    """Read off a domain `CacheStats`."""

    resolvers: list[ResolverCacheStats] = strawberry.field(description="One by one.")
    is_shared: bool = strawberry.field(
        description="Whether all processes count together; else only this one, Redis being away."
    )
