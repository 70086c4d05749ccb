"""The hot queries read by index, in order: no sequential scan and no sort, at 200,000 posts and default settings."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5  # what PostgreSQL has too; guards nothing
from typing import Any
from uuid import UUID

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.migrating import migrate_database
from services.domain.accounts import AccountFilter
from services.domain.changes import FailedFilter
from services.domain.pages import PageRequest, Place
from services.domain.posts import PostFilter, PostOrder
from services.domain.viewers import Role, UserFilter
from services.queries import accounts, attempts, claims, failures, keys, leases, posts, turns, users

SEED = """
INSERT INTO users (id, name, role) SELECT md5('u' || n)::uuid, 'Person ' || n, 'PERSON' FROM generate_series(1, 200) n;
INSERT INTO accounts (id, user_id, platform, external_id, handle, display_name, status, expires_at)
    SELECT md5('a' || n)::uuid, md5('u' || 1 + n % 200)::uuid, (ARRAY['INSTAGRAM', 'FACEBOOK', 'YOUTUBE'])[1 + n % 3],
        n::text, 'h' || n, 'H', 'CONNECTED', now() + n * interval '1 hour'
    FROM generate_series(1, 60000) n;
INSERT INTO posts (id, user_id, caption, status, scheduled_at, created_at)
    SELECT md5('p' || n)::uuid, md5('u' || 1 + n % 200)::uuid, 'Post ' || n,
        CASE WHEN n % 20 = 0 THEN 'SCHEDULED' ELSE 'PUBLISHED' END,
        now() - interval '100 days' + n * interval '45 seconds', now() - interval '101 days' + n * interval '45 seconds'
    FROM generate_series(1, 200000) n;
INSERT INTO post_targets (id, post_id, account_id, user_id, platform, position, calendar_at, status, next_attempt_at,
        prepare_at, lease_until)
    SELECT md5('t' || n)::uuid, md5('p' || n)::uuid, md5('a' || 1 + n % 600)::uuid, md5('u' || 1 + n % 200)::uuid,
        'FACEBOOK', 0, now() - interval '100 days' + n * interval '45 seconds',
        CASE WHEN n % 20 = 0 THEN 'SCHEDULED' ELSE 'PUBLISHED' END,
        CASE WHEN n % 20 = 0 THEN now() - interval '100 days' + n * interval '45 seconds' END,
        CASE WHEN n % 20 = 0 AND n * interval '45 seconds' > interval '100 days'
            THEN now() - interval '100 days' + n * interval '45 seconds' - interval '5 minutes' END,
        CASE WHEN n % 4000 = 1 THEN now() - interval '1 minute' END
    FROM generate_series(1, 200000) n;
INSERT INTO media (id, post_id, position, kind, url)
    SELECT md5('m' || n)::uuid, md5('p' || n)::uuid, 0, 'IMAGE', 'u' FROM generate_series(20, 200000, 20) n;
INSERT INTO attempts (id, target_id, number, step, started_at, ended_at, outcome)
    SELECT md5('x' || n)::uuid, md5('t' || n)::uuid, 1, 'publish_post', now(), now(), 'SUCCEEDED'
    FROM generate_series(1, 200000) n;
INSERT INTO idempotency_keys (user_id, operation, key, fingerprint, object_id)
    SELECT md5('u' || 1 + n % 200)::uuid, 'schedulePost', 'key ' || n, '\\x00', md5('p' || n)::uuid
    FROM generate_series(1, 200000) n;
"""

OWNER, ACCOUNT, TARGET = (UUID(bytes=md5(name).digest()) for name in (b"u1", b"a1", b"t1"))  # noqa: S324 - not for secrecy
NOW = datetime.now(UTC)
MIDDLE = Place(UUID(int=1 << 127), NOW - timedelta(days=50))

Query = Callable[[AsyncConnection], Awaitable[Any]]


def calendar_page(order: PostOrder, **where: Any) -> Query:
    """A page of one person's posts."""
    page = PageRequest(size=50, **where)
    return lambda c: posts.page_posts(c, owner=OWNER, wanted=PostFilter(), order=order, page=page)


HOT: dict[str, Query] = {
    **{f"calendar page {order}": calendar_page(order) for order in PostOrder},
    **{f"calendar page {order} after": calendar_page(order, after=MIDDLE) for order in PostOrder},
    **{f"calendar page {order} last": calendar_page(order, before=MIDDLE, backward=True) for order in PostOrder},
    "calendar month": lambda c: posts.page_posts(
        c,
        owner=OWNER,
        wanted=PostFilter(scheduled_from=NOW - timedelta(days=30), scheduled_to=NOW),
        order=PostOrder.SCHEDULED_AT_ASC,
        page=PageRequest(size=50),
    ),
    "account page": lambda c: posts.page_account_posts(
        c,
        [ACCOUNT],
        owner=OWNER,
        wanted=PostFilter(),
        order=PostOrder.SCHEDULED_AT_DESC,
        page=PageRequest(size=20, after=MIDDLE),
    ),
    "accounts": lambda c: accounts.page_accounts(c, owner=OWNER, wanted=AccountFilter(), page=PageRequest()),
    "ledger": lambda c: attempts.page_attempts(c, [TARGET], page=PageRequest()),
    "failures": lambda c: failures.group_failures(c, FailedFilter(failed_since=NOW - timedelta(days=1))),
    "people": lambda c: users.page_users(c, wanted=UserFilter(), page=PageRequest()),
    "people found": lambda c: users.page_users(
        c, wanted=UserFilter(role=Role.PERSON, search="son 1"), page=PageRequest()
    ),
    "due claim": lambda c: turns.lock_due(c, limit=50),
    "followers": lambda c: turns.lock_followers(c, [ACCOUNT], due_for=timedelta(days=200), limit=200),
    "next due": turns.find_next_due,
    "early claim": lambda c: claims.claim_early(c, worker_id=OWNER, lease_for=timedelta(minutes=1), limit=50),
    "expired leases": lambda c: leases.free_expired(c, limit=50),
    "idempotency look-up": lambda c: keys.claim_key(
        c, user_id=OWNER, operation="schedulePost", key="key 200", fingerprint=b"", object_id=OWNER
    ),
}
SORTS_BY_DESIGN = {"expired leases", "failures", "followers"}
"""Leases that ran out are few, and freed in any order the index gives; failures are few, too, and shown by number; what
is due of some accounts is looked at only where something holds it up."""


async def test_hot_queries_neither_scan_nor_sort(empty_database_url: str) -> None:
    """Every statement of every hot query, explained as it was really sent."""
    await migrate_database(empty_database_url)
    engine = create_async_engine(empty_database_url)
    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    async with engine.connect() as connection:
        for statement in filter(str.strip, SEED.split(";")):
            await connection.execute(text(statement.replace(":", "\\:")))
        await connection.commit()
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))

    offences = []
    async with engine.connect() as connection:
        for name, query in HOT.items():
            sent.clear()
            event.listen(engine.sync_engine, "before_cursor_execute", note)
            await query(connection)
            event.remove(engine.sync_engine, "before_cursor_execute", note)
            assert sent, name
            for statement, parameters in sent:
                explained = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                for node in nodes_of(explained.scalar_one()[0]["Plan"]):
                    kind = node["Node Type"]
                    if kind == "Seq Scan" or ("Sort" in kind and name not in SORTS_BY_DESIGN):
                        offences.append((name, kind, node.get("Relation Name"), node.get("Sort Key")))
            await connection.rollback()
    await engine.dispose()
    assert not offences, "\n".join(map(str, offences))


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes, from the top."""
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes_of(part)
