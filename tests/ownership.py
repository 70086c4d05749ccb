"""Whose rows are whose, told by SQL alone; and digests of them, to see whether anything of somebody's has changed."""

from uuid import UUID

from sqlalchemy import text

from services.backends.database import Database
from services.models import Base

OF = {
    "accounts": "user_id = :user",
    "api_keys": "user_id = :user",
    "attempts": "target_id IN (SELECT id FROM post_targets WHERE user_id = :user)",
    "idempotency_keys": "user_id = :user",
    "leftovers": "account_id IN (SELECT id FROM accounts WHERE user_id = :user)",
    "media": "post_id IN (SELECT id FROM posts WHERE user_id = :user)",
    "oauth_states": "user_id = :user",
    "outbox": "user_id = :user",
    "post_targets": "user_id = :user",
    "posts": "user_id = :user",
    "quota_slots": "starts_with(\"window\", 'user:' || CAST(CAST(:user AS uuid) AS text))",
    "uploads": "user_id = :user",
    "users": "id = :user",
}
"""Per table, which rows are a user's."""

NOBODYS = {"audit_log", "workers"}
"""Tables of the operators."""

PASSING = {"outbox"}
"""Rows here come with a change and go as soon as it is told."""

assert {*OF, *NOBODYS} == {*Base.metadata.tables}, "A new table: say here whose its rows are."


async def digest_of(database: Database, user_id: UUID) -> dict[str, str]:
    """Every table with a digest of what somebody owns in it."""
    async with database.connect() as c:
        return {
            table: (await c.execute(text(_digest(table, where)), {"user": user_id})).scalar_one()
            for table, where in OF.items()
        }


async def digest_all(database: Database) -> dict[str, str]:
    """Every table with a digest of all that is in it."""
    async with database.connect() as c:
        return {
            table: (await c.execute(text(_digest(table, "true")))).scalar_one() for table in {*OF, *NOBODYS} - PASSING
        }


def _digest(table: str, where: str) -> str:
    """Uses of a key are noted in passing, and are no change of anything."""
    row = "to_jsonb(t) - 'last_used_at'"
    return (
        f"SELECT count(*) || ':' || coalesce(md5(string_agg(({row})::text, '' ORDER BY ({row})::text)), '') "
        f"FROM {table} t WHERE {where}"
    )
