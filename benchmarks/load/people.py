"""Whom the load comes from: people with accounts, a calendar of posts and an API key each."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.credentials import mint_api_key
from services.domain.ids import Kind, encode_id, new_id
from services.domain.viewers import Role, Scope
from services.models import ACCOUNTS, KEYS, MEDIA, POSTS, TARGETS, USERS

POSTS_EACH = 120


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a key."""

    token: str
    account: str
    posts: tuple[str, ...]


async def settle_people(c: AsyncConnection, count: int, random: Random) -> list[Person]:
    """Insert them with all that is theirs: posts of months, one to three targets each, up to three media."""
    rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in (USERS, KEYS, ACCOUNTS, POSTS, TARGETS, MEDIA)}
    people = [_add_person(rows, number, random) for number in range(count)]
    for table, written in rows.items():
        for start in range(0, len(written), 2_000):
            await c.execute(insert(table), written[start : start + 2_000])
    return people


def _add_person(rows: dict[Any, list[dict[str, Any]]], number: int, random: Random) -> Person:
    user, key = new_id(), mint_api_key()
    rows[USERS].append({"id": user, "name": f"Person {number}", "role": Role.PERSON})
    credential = {"id": key.key_id, "user_id": user, "name": "load", "secret_hash": key.secret_hash}
    rows[KEYS].append(credential | {"scope": Scope.WRITE})
    accounts = [new_id() for _ in range(3)]
    for account in accounts:
        place = {"id": account, "user_id": user, "platform": "FACEBOOK", "external_id": account.hex}
        rows[ACCOUNTS].append(place | {"handle": f"@{number}", "display_name": "A page", "status": "CONNECTED"})
    today = datetime.now(UTC)
    posts = []
    for day in range(-POSTS_EACH // 2, POSTS_EACH // 2):
        post, at = new_id(), today + timedelta(days=day, hours=1)
        posts.append(encode_id(Kind.POST, post))
        status = "SCHEDULED" if day >= 0 else "PUBLISHED"
        shared = {"user_id": user, "status": status}
        rows[POSTS].append(shared | {"id": post, "caption": "Bread, fresh from the oven. " * 4, "scheduled_at": at})
        for position in range(random.randint(1, 3)):
            target = {"id": new_id(), "post_id": post, "account_id": accounts[position], "platform": "FACEBOOK"}
            rows[TARGETS].append(shared | target | {"position": position, "calendar_at": at})
        for position in range(random.randint(0, 3)):
            medium = {"id": new_id(), "post_id": post, "position": position, "kind": "IMAGE"}
            rows[MEDIA].append(medium | {"url": "https://example.com/bread.jpg", "width": 1080, "height": 1080})
    return Person(key.token, encode_id(Kind.ACCOUNT, accounts[0]), tuple(posts))
