"""The tables, one file per aggregate; `Base.metadata` knows them all once this package is imported."""

from services.models.accounts import AccountRow, OAuthStateRow
from services.models.attempts import AttemptRow
from services.models.audit_log import AuditRow
from services.models.base import Base
from services.models.idempotency_keys import IdempotencyKeyRow
from services.models.outbox import OutboxRow
from services.models.posts import MediaRow, PostRow, PostTargetRow
from services.models.quota_slots import QuotaSlotRow
from services.models.uploads import UploadRow
from services.models.users import ApiKeyRow, UserRow
from services.models.workers import WorkerRow

__all__ = [
    "AccountRow",
    "ApiKeyRow",
    "AttemptRow",
    "AuditRow",
    "Base",
    "IdempotencyKeyRow",
    "MediaRow",
    "OAuthStateRow",
    "OutboxRow",
    "PostRow",
    "PostTargetRow",
    "QuotaSlotRow",
    "UploadRow",
    "UserRow",
    "WorkerRow",
]
