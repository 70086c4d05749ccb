"""The limit: a bare Starlette handler that hands hand-written SQL's JSON over, and does nothing else.

No schema, no validation, no limits, no codes, no logs, no caches: whoever asks is looked up in a dict. Nothing that
answers by this database can be faster by much.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_ID = "encode(uuid_send({0}.id), 'hex') AS id"
_UTC = 'to_char({0} AT TIME ZONE \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\') AS "{1}"'
_POST = f"""
  'post_' || {_ID.format("p")}, p.caption, p.link, p.status, {_UTC.format("p.scheduled_at", "scheduledAt")},
  {_UTC.format("p.published_at", "publishedAt")}, {_UTC.format("p.created_at", "createdAt")}, p.version,
  (SELECT coalesce(json_agg(row_to_json(t)), '[]') FROM (
    SELECT 'tgt_' || {_ID.format("t")}, t.platform, t.status, t.permalink, t.attempt_count AS "attemptCount",
      (SELECT row_to_json(a) FROM (
        SELECT 'acct_' || {_ID.format("a")}, a.handle, a.display_name AS "displayName", a.avatar_url AS "avatarUrl"
        FROM accounts a WHERE a.id = t.account_id) a) AS account
    FROM post_targets t WHERE t.post_id = p.id ORDER BY t.position) t) AS targets,
  (SELECT coalesce(json_agg(row_to_json(m)), '[]') FROM (
    SELECT 'media_' || {_ID.format("m")}, m.kind, m.url, m.alt_text AS "altText", m.width, m.height
    FROM media m WHERE m.post_id = p.id ORDER BY m.position) m) AS media
"""
_PAGE = f"""
SELECT coalesce(json_agg(row_to_json(n)), '[]') FROM (
  SELECT {_POST} FROM posts p WHERE p.user_id = $1 AND p.calendar_at >= $2 ORDER BY p.calendar_at, p.id LIMIT $3) n
"""
_ONE = f"SELECT row_to_json(n) FROM (SELECT {_POST} FROM posts p WHERE p.id = $2 AND p.user_id = $1) n"
_NEXT = f"""
SELECT coalesce(json_agg(row_to_json(n)), '[]') FROM (
  SELECT 'acct_' || {_ID.format("a")}, a.platform, a.handle, a.display_name AS "displayName",
    (SELECT json_build_object('nodes', coalesce(json_agg(row_to_json(q)), '[]')) FROM (
      SELECT 'post_' || {_ID.format("p")}, p.caption, p.status, {_UTC.format("p.scheduled_at", "scheduledAt")}
      FROM post_targets t JOIN posts p ON p.id = t.post_id WHERE t.account_id = a.id AND t.calendar_at >= $2
      ORDER BY t.calendar_at, t.post_id LIMIT 5) q) AS posts
  FROM accounts a WHERE a.user_id = $1 ORDER BY a.id LIMIT 20) n
"""
_SIZES = {"A": 50, "D": 100, "F": 50}


def create_app() -> Starlette:
    """For `uvicorn --factory`."""
    return Starlette(routes=[Route("/graphql", answer, methods=["POST"])], lifespan=_lifespan)


async def answer(request: Request) -> Response:
    """By the letter in the query string."""
    letter = request.url.query
    variables = orjson.loads(await request.body())["variables"]
    pool, people = request.app.state.pool, request.app.state.people
    data: dict[str, Any]
    if letter == "C":
        data = {"__typename": "Query"}
    else:
        user = people[UUID(hex=request.headers["authorization"][13:45])]
        if letter == "B":
            found = await pool.fetchval(_ONE, user, UUID(hex=variables["id"].removeprefix("post_")))
            data = {"post": orjson.Fragment(found)}
        elif letter == "E":
            found = await pool.fetchval(_NEXT, user, datetime.fromisoformat(variables["from"]))
            data = {"accounts": {"nodes": orjson.Fragment(found)}}
        else:
            found = await pool.fetchval(_PAGE, user, datetime.fromisoformat(variables["from"]), _SIZES[letter])
            data = {"posts": {"nodes": orjson.Fragment(found)}}
    return Response(orjson.dumps({"data": data}), media_type="application/json")


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    url = os.environ["DATABASE_URL"]
    async with asyncpg.create_pool(url, min_size=5, max_size=20, init=hand_over) as pool:
        app.state.pool = pool
        app.state.people = {row["id"]: row["user_id"] for row in await pool.fetch("SELECT id, user_id FROM api_keys")}
        yield


async def hand_over(connection: asyncpg.Connection) -> None:
    """JSON as the server's bytes."""
    await connection.set_type_codec("json", schema="pg_catalog", format="binary", encoder=str.encode, decoder=bytes)
