"""What operators look at: the queue, the workers, and what other operators did."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.domain.accounts import AccountStatus, Platform
from services.domain.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How many targets stand where, and how late the queue is."""

    due: int
    """Waiting for a worker although their time has come."""
    scheduled: int
    publishing: int
    retrying: int
    blocked: int
    unconfirmed: int
    oldest_due_at: datetime | None
    lateness_seconds: float
    """How long the oldest due target has been waiting; 0 where nothing is due."""
    as_of: datetime


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker process and its heartbeat."""

    id: UUID
    started_at: datetime
    last_beat_at: datetime
    publishing: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failed targets on one platform that failed for the same reason."""

    code: ErrorCode
    platform: Platform
    count: int
    last_failed_at: datetime | None
    """None where the ledger of none of them has a line."""
    message: str
    """What was said of the latest."""


@dataclass(frozen=True, slots=True)
class AccountGroup:
    """Everybody's accounts on one platform that are in the same state."""

    platform: Platform
    status: AccountStatus
    count: int
    next_expiry_at: datetime | None
    """When the first of their tokens ends that has not ended yet."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One admin action."""

    id: UUID
    at: datetime
    actor_id: UUID
    action: str
    subject: str
    detail: Mapping[str, Any]
