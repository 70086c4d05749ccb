"""The tables, one file per aggregate; `Base.metadata` knows them all once this package is imported."""

from services.models.accounts import AccountRow, OAuthStateRow
from services.models.attempts import AttemptRow
from services.models.audit_log import AuditRow
from services.models.base import Base, table_of
from services.models.idempotency_keys import IdempotencyKeyRow
from services.models.leftovers import LeftoverRow
from services.models.outbox import OutboxRow as _OutboxRow
from services.models.posts import MediaRow, PostRow, PostTargetRow
from services.models.quota_slots import QuotaSlotRow as _QuotaSlotRow
from services.models.uploads import UploadRow
from services.models.users import ApiKeyRow, UserRow
from services.models.workers import WorkerRow

ACCOUNTS = table_of(AccountRow)
KEYS = table_of(ApiKeyRow)
ATTEMPTS = table_of(AttemptRow)
AUDIT_LOG = table_of(AuditRow)
IDEMPOTENCY_KEYS = table_of(IdempotencyKeyRow)
LEFTOVERS = table_of(LeftoverRow)
MEDIA = table_of(MediaRow)
OAUTH_STATES = table_of(OAuthStateRow)
POSTS = table_of(PostRow)
TARGETS = table_of(PostTargetRow)
UPLOADS = table_of(UploadRow)
USERS = table_of(UserRow)
WORKERS = table_of(WorkerRow)

# Private to the services that own them; imported so that the metadata knows them.
_ = (_OutboxRow, _QuotaSlotRow)

__all__ = [
    "ACCOUNTS",
    "ATTEMPTS",
    "AUDIT_LOG",
    "IDEMPOTENCY_KEYS",
    "KEYS",
    "LEFTOVERS",
    "MEDIA",
    "OAUTH_STATES",
    "POSTS",
    "TARGETS",
    "UPLOADS",
    "USERS",
    "WORKERS",
    "Base",
]
