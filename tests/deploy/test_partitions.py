"""Posts and attempts divided by month, as deploy/capacity.md says: everything goes on as before."""

import subprocess
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.migrating import migrate_database
from app.sandbox.running import RunningSandbox
from services.domain.accounts import Platform
from services.domain.posts import TargetStatus
from tests.deploy.test_backup import DEPLOY, tools_for
from tests.rig import Rig, open_rig

PARTS = """SELECT inhparent::regclass::text AS whole, count(*) AS parts FROM pg_inherits
JOIN pg_class ON pg_class.oid = inhrelid AND relkind = 'r' GROUP BY 1"""
KEYS = """SELECT conname FROM pg_constraint WHERE contype IN ('f', 'p') AND conparentid = 0
AND conrelid::regclass::text NOT LIKE '%\\_20%' AND conrelid::regclass::text NOT LIKE '%\\_later'"""
COMING = """INSERT INTO posts (id, user_id, caption, status)
SELECT (lpad(to_hex(1000 * extract(epoch FROM now() + interval '2 months')::bigint), 12, '0') || repeat('7', 20))::uuid,
       id, 'A coming month', 'DRAFT' FROM users LIMIT 1
RETURNING tableoid::regclass = to_char(now() + interval '2 months', '"posts_"YYYY_MM')::regclass"""

ORPHAN = """UPDATE media SET post_id = '00000000-0000-7000-8000-000000000000'
WHERE id = (SELECT id FROM media LIMIT 1)"""


async def divide(url: str) -> None:
    """As an operator does it, first and every month after."""
    order = [str(await tools_for(url) / "psql"), url.replace("+asyncpg", ""), "--no-psqlrc", "--quiet"]
    script = DEPLOY / "partitions.sql"
    done = subprocess.run(
        [*order, "--set=ON_ERROR_STOP=1", "--single-transaction", f"--file={script}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


async def names(rig: Rig, statement: str) -> dict[str, int]:
    """Rows of a name and a number."""
    return {row[0]: row[-1] for row in await rig.rows(text(statement))}


async def test_posts_and_attempts_are_divided_by_month_under_a_crier_that_goes_on(
    running_sandbox: RunningSandbox, empty_database_url: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    """What is there stays where it is; what comes goes to its month; keys, the ledger's trigger and deletion hold."""
    running_sandbox.reset()
    await migrate_database(empty_database_url)
    places = {"database_url": empty_database_url, "redis_url": redis_url, "folder": tmp_path}
    async with open_rig(running_sandbox, **places) as rig:
        ada = await rig.add_user()
        account = await rig.add_account(ada, Platform.INSTAGRAM)
        before = await rig.schedule_due(ada, account, caption="Before", sample="dusk.jpg")
        await rig.publish()
        waiting = await rig.schedule(ada, account, caption="Scheduled before", sample="dusk.jpg")
        keys = set(await names(rig, KEYS))

        for _ in range(2):
            await divide(empty_database_url)
            parts = await names(rig, PARTS)
            assert parts == {"posts": 15, "attempts": 15}
        assert set(await names(rig, KEYS)) == keys

        after = await rig.schedule_due(ada, account, caption="After", sample="dusk.jpg")
        await rig.publish()
        await rig.come(waiting)
        await rig.publish()
        for post in (before, after, waiting):
            assert (await rig.target(post)).status is TargetStatus.PUBLISHED
            assert await rig.ledger(post)
        async with rig.container.backends.database.begin() as c:
            assert await c.scalar(text(COMING))
        with pytest.raises(DBAPIError, match="is append-only"):
            await rig.write(text("UPDATE attempts SET outcome = 'FAILED'"))
        with pytest.raises(DBAPIError, match="fk_media_post_id"):
            await rig.write(text(ORPHAN))
        await rig.write(text("DELETE FROM users"))
        assert [row[0] for row in await rig.rows(text("SELECT count(*) FROM attempts"))] == [0]
    assert len(rig.seen(account)) == 3
