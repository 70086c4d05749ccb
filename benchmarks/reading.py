"""A page of 50 posts with targets, accounts and media, by every road: `python -m benchmarks.reading`.

All give the same JSON as bytes, in one process, in turn, on servers of their own: hand-written SQL on a bare asyncpg
pool is the limit, everything else is the whole schema with its extensions. The page hangs below an account, where
nothing is cached; the last two ask for the viewer's own list, which is.
"""

import asyncio
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import uvloop
from sqlalchemy import insert, make_url

from app.embedded import EmbeddedServers
from app.migrating import migrate_database
from benchmarks.rounds import Contender, compare
from schema.build import build_schema
from schema.documents import DocumentCache, DocumentLimits
from schema.extensions import list_extensions
from schema.extensions.request_timeout import TimeLimits
from schema.extensions.subscription_slots import SubscriptionCounts
from services.domain.ids import new_id
from services.domain.viewers import Viewer
from services.models import MEDIA, POSTS, TARGETS
from tests.graphql_api import Api, account_id, open_api

START = datetime(2030, 1, 1, tzinfo=UTC)
PAGE = """
  nodes {
    id caption link status scheduledAt publishedAt createdAt version
    targets { id platform status permalink attemptCount account { id handle displayName avatarUrl HOLE } }
    media { id kind url altText width height } MORE
  }
"""
BELOW = "query ($id: ID!) { account(id: $id) { posts(first: 50) { PAGE } } }".replace("PAGE", PAGE)
OWN = "query ($to: DateTime) { posts(first: 50, filter: {scheduledTo: $to}) { PAGE } }".replace("PAGE", PAGE)
TOO_LONG = "x" * 64
BY_HAND = r"""
SELECT coalesce(json_agg(row_to_json(n)), '[]') FROM (
  SELECT 'post_' || encode(uuid_send(p.id), 'hex') AS id, p.caption, p.link, p.status,
    to_char(p.scheduled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "scheduledAt",
    to_char(p.published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "publishedAt",
    to_char(p.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "createdAt", p.version,
    (SELECT coalesce(json_agg(row_to_json(t)), '[]') FROM (
      SELECT 'tgt_' || encode(uuid_send(t.id), 'hex') AS id, t.platform, t.status, t.permalink,
        t.attempt_count AS "attemptCount",
        (SELECT row_to_json(a) FROM (
          SELECT 'acct_' || encode(uuid_send(a.id), 'hex') AS id, a.handle, a.display_name AS "displayName",
            a.avatar_url AS "avatarUrl" FROM accounts a WHERE a.id = t.account_id) a) AS account
      FROM post_targets t WHERE t.post_id = p.id ORDER BY t.position) t) AS targets,
    (SELECT coalesce(json_agg(row_to_json(m)), '[]') FROM (
      SELECT 'media_' || encode(uuid_send(m.id), 'hex') AS id, m.kind, m.url, m.alt_text AS "altText", m.width, m.height
      FROM media m WHERE m.post_id = p.id ORDER BY m.position) m) AS media
  FROM post_targets x JOIN posts p ON p.id = x.post_id JOIN accounts a ON a.id = x.account_id
  WHERE a.id = $1 AND a.user_id = $2 ORDER BY x.calendar_at, x.post_id LIMIT 50) n
"""


def written(document: str, *, hole: str = "", more: str = "") -> str:
    """A document with what distinguishes its road."""
    return document.replace("HOLE", hole).replace("MORE", more)


async def main(database_url: str, redis_url: str) -> None:
    """One call after the other, and eight at once."""
    await migrate_database(database_url)
    async with open_api(database_url=database_url, redis_url=redis_url) as api:
        api.schema = build_schema(
            extensions=list_extensions(
                documents=DocumentCache(limits=DocumentLimits()),
                times=TimeLimits.same(timedelta(seconds=30)),
                subscriptions=SubscriptionCounts(most=100),
            )
        )
        viewer, account = await fill(api, Random(3))
        address = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        async with asyncpg.create_pool(address, min_size=4, max_size=8, init=hand_over) as pool:
            contenders = make_contenders(api, viewer, account, pool)
            print("One after the other:")
            await compare(contenders, rounds=9, calls=20)
            print("Eight at once, per eight:")
            await compare({name: eight_of(call) for name, call in contenders.items()}, rounds=7, calls=5)


def make_contenders(api: Api, viewer: Viewer, account: UUID, pool: Any) -> dict[str, Contender]:
    """Each gives the page's bytes."""
    moments = count()

    async def by_hand() -> bytes:
        found = await pool.fetchval(BY_HAND, account, viewer.user.id)
        return orjson.dumps({"data": {"account": {"posts": {"nodes": orjson.Fragment(found)}}}})

    def asked(document: str, variables: Callable[[], dict[str, Any]]) -> Contender:
        async def ask() -> bytes:
            async with api.context(viewer) as context:
                result = await api.schema.execute(document, variable_values=variables(), context_value=context)
            assert not result.errors, result.errors
            return orjson.dumps({"data": result.data})

        return ask

    def below() -> dict[str, Any]:
        return {"id": account_id(account)}

    def anew() -> dict[str, Any]:
        return {"to": (START + timedelta(days=9_000, microseconds=next(moments))).isoformat()}

    hole = "circuitBreaker { state failures }"
    return {
        "limit: SQL by hand on bare asyncpg": by_hand,
        "rendered": asked(written(BELOW), below),
        "rendered, with a breaker on every target": asked(written(BELOW, hole=hole), below),
        "loaders": asked(written(BELOW, more=f"{TOO_LONG}: __typename"), below),
        "loaders, with a breaker on every target": asked(
            written(BELOW, hole=hole, more=f"{TOO_LONG}: __typename"), below
        ),
        "rendered, and kept in the cache": asked(written(OWN), anew),
        "rendered long ago: from the cache": asked(written(OWN), lambda: {"to": "2060-01-01T00:00:00Z"}),
    }


def eight_of(call: Contender) -> Contender:
    """Eight callers of it."""

    async def callers() -> None:
        await asyncio.gather(*(call() for _ in range(8)))

    return callers


async def fill(api: Api, random: Random) -> tuple[Viewer, UUID]:
    """Two thousand posts with one to three targets, all to one account, and none to three media."""
    owner = await api.add_person()
    accounts = [await api.add_account(owner) for _ in range(3)]
    rows: dict[Any, list[dict[str, Any]]] = {POSTS: [], TARGETS: [], MEDIA: []}
    for number in range(2_000):
        key, at = new_id(), START + timedelta(hours=number)
        shared = {"user_id": owner.user.id, "status": "SCHEDULED"}
        rows[POSTS].append(shared | {"id": key, "caption": "Bread, fresh from the oven. " * 4, "scheduled_at": at})
        for position in range(random.randint(1, 3)):
            target = {"id": new_id(), "post_id": key, "account_id": accounts[position], "platform": "FACEBOOK"}
            rows[TARGETS].append(shared | target | {"position": position, "calendar_at": at})
        for position in range(random.randint(0, 3)):
            medium = {"id": new_id(), "post_id": key, "position": position, "kind": "IMAGE"}
            rows[MEDIA].append(medium | {"url": "https://example.test/bread.jpg", "width": 1080, "height": 1080})
    async with api.services.database.begin() as c:
        for table, written_rows in rows.items():
            await c.execute(insert(table), written_rows)
    async with api.services.database.connect() as c:
        await c.exec_driver_sql("ANALYZE")
    return owner, accounts[0]


async def hand_over(connection: Any) -> None:
    """JSON as the server's bytes."""
    await connection.set_type_codec("json", schema="pg_catalog", format="binary", encoder=str.encode, decoder=bytes)


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(prefix="crier-bench-") as folder,
        EmbeddedServers(data_dir=Path(folder), durable=False) as servers,
    ):
        uvloop.run(main(servers.database_url, servers.redis_url))
