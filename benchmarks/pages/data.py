"""A year of posts of two hundred people, the same in every run."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from services.domain.credentials import mint_api_key
from services.domain.ids import Kind, encode_id

PEOPLE = 200
POSTS = 100_000
START = datetime(2030, 1, 1, tzinfo=UTC)

_FILL = f"""
SELECT setseed(0.5);
INSERT INTO users (id, name, role) SELECT uuidv7(), 'Person ' || n, 'PERSON' FROM generate_series(1, {PEOPLE}) n;
INSERT INTO accounts (id, user_id, platform, external_id, handle, display_name, avatar_url, status)
SELECT uuidv7(), u.id, p, p || u.id, '@' || lower(p), u.name || ' on ' || p, 'https://example.test/' || p, 'CONNECTED'
FROM users u, unnest(ARRAY['INSTAGRAM', 'FACEBOOK', 'YOUTUBE']) p;
CREATE TEMP TABLE people AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM users;
INSERT INTO posts (id, user_id, caption, link, status, scheduled_at)
SELECT uuidv7(), p.id, 'Bread, fresh from the oven, number ' || i || '. ' || repeat('Come early! ', 6),
  CASE WHEN random() < 0.3 THEN 'https://example.test/bread/' || i END, 'SCHEDULED',
  timestamptz '{START:%Y-%m-%d}' + i * interval '5 minutes'
FROM generate_series(0, {POSTS - 1}) i JOIN people p ON p.n = i % {PEOPLE};
INSERT INTO post_targets (id, post_id, account_id, user_id, platform, position, calendar_at, status)
SELECT uuidv7(), p.id, a.id, p.user_id, a.platform, a.n - 1, p.scheduled_at, 'SCHEDULED'
FROM (SELECT *, 1 + floor(random() * 3) AS many FROM posts) p
JOIN (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY id) AS n FROM accounts) a
  ON a.user_id = p.user_id AND a.n <= p.many;
INSERT INTO media (id, post_id, position, kind, url, alt_text, width, height)
SELECT uuidv7(), p.id, n, 'IMAGE', 'https://example.test/' || n || '.jpg', 'Bread', 1080, 1080
FROM (SELECT id, floor(random() * 4) AS many FROM posts) p, generate_series(0, 2) n WHERE n < p.many;
"""


@dataclass(frozen=True)
class Person:
    """Somebody who asks."""

    id: UUID
    token: str
    post: str
    """One of their posts, as the API names it."""


async def fill(database_url: str) -> list[Person]:
    """Write everything, and give those who will ask."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_FILL)
        people = [await _let_in(connection, row["id"]) for row in await connection.fetch("SELECT id FROM people")]
        await connection.execute("VACUUM ANALYZE")
        return people
    finally:
        await connection.close()


async def _let_in(connection: asyncpg.Connection, user: UUID) -> Person:
    key = mint_api_key()
    await connection.execute(
        "INSERT INTO api_keys (id, user_id, name, secret_hash, scope) VALUES ($1, $2, 'bench', $3, 1)",
        key.key_id,
        user,
        key.secret_hash,
    )
    post = await connection.fetchval("SELECT id FROM posts WHERE user_id = $1 ORDER BY calendar_at LIMIT 1", user)
    return Person(user, key.token, encode_id(Kind.POST, post))
