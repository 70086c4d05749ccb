"""Ada with something in every field, others with something of their own, everybody's credentials, and the real app."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import insert, select, text, update

from app.api import open_api
from app.sandbox.running import RunningSandbox
from services.backends.database import Database
from services.domain.accounts import Platform
from services.domain.breakers import Verdict
from services.domain.credentials import read_api_key
from services.domain.errors import ErrorCode
from services.domain.ids import Kind, encode_id, new_id
from services.domain.viewers import Role, Scope, Viewer
from services.models import ATTEMPTS, AUDIT_LOG, MEDIA, POSTS, TARGETS, USERS, WORKERS
from services.queries.users import revoke_key
from tests.graphql_api import Api
from tests.graphql_api import open_api as open_services
from tests.live import give_key
from tests.rig import open_rig
from tests.serving import served

SECRET, ISSUER, AUDIENCE = "a secret of at least thirty-two characters", "https://issuer.test", "crier"
EMPTY = "nobody"
"""Whose a list is that holds nothing."""

OWNERS = """
SELECT found.kind, found.id, users.name FROM users JOIN (
    SELECT 'user' AS kind, id, id AS user_id FROM users
    UNION ALL SELECT 'acct', id, user_id FROM accounts
    UNION ALL SELECT 'post', id, user_id FROM posts
    UNION ALL SELECT 'tgt', id, user_id FROM post_targets
    UNION ALL SELECT 'media', media.id, user_id FROM media JOIN posts ON posts.id = post_id
    UNION ALL SELECT 'att', attempts.id, user_id FROM attempts JOIN post_targets ON post_targets.id = target_id
) AS found ON found.user_id = users.id
"""


@dataclass
class World:
    """Everybody and everything; `http` asks the served app."""

    api: Api
    """The services behind it, to make more of everything."""
    url: str
    http: httpx.AsyncClient
    ada: Viewer
    ben: Viewer
    root: Viewer
    tokens: dict[str, str | None] = field(default_factory=dict)
    """By asker, what they bring."""
    accounts: dict[Platform, UUID] = field(default_factory=dict)
    """Ada's."""
    post: str = ""
    """Ada's post that has everything."""
    own_posts: dict[UUID, str] = field(default_factory=dict)
    """A post of each user's."""
    owners: dict[str, str] = field(default_factory=dict)
    """By id, the name of the user to whom it belongs."""

    @property
    def database(self) -> Database:
        """Where the rows are."""
        return self.api.services.database

    def viewer_of(self, asker: str) -> Viewer:
        """The user behind an asker; nobody counts as Ben."""
        if asker.startswith("Ada"):
            return self.ada
        return self.root if asker.startswith("admin") else self.ben

    def ids(self, kind: Kind) -> list[str]:
        """Ada's own of one kind."""
        return [key for key, name in self.owners.items() if key.startswith(f"{kind}_") and name == "Ada"]

    async def note_owners(self) -> None:
        """Read anew whose everything is."""
        async with self.database.connect() as c:
            for kind, key, name in await c.execute(text(OWNERS)):
                self.owners[encode_id(Kind(kind), key)] = name

    def owner_of(self, value: dict[str, Any]) -> str | None:
        """Whose an object of an answer is: by its id or key; a list's or an edge's by what it holds."""
        if value.get("id") in self.owners:
            return self.owners[value["id"]]
        if str(value.get("key", "")).startswith("user:"):
            user = UUID(value["key"].removeprefix("user:"))
            return self.owners[encode_id(Kind.USER, user)]
        if "nodes" in value:
            return self.owner_of(value["nodes"][0]) if value["nodes"] else EMPTY
        return self.owner_of(value["node"]) if isinstance(value.get("node"), dict) else None

    async def ask(self, asker: str, document: str, **variables: Any) -> httpx.Response:
        """One request."""
        token = self.tokens[asker]
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return await self.http.post("/graphql", json={"query": document, "variables": variables}, headers=headers)


@asynccontextmanager
async def open_world(
    sandbox: RunningSandbox, *, database_url: str, redis_url: str, folder: Path
) -> AsyncIterator[World]:
    """The app on a socket, before data of everybody's."""
    places: dict[str, str] = {"database_url": database_url, "redis_url": redis_url}
    settings = {"jwt_secret": SECRET, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "subscriptions_per_viewer": 100}
    async with (
        open_services(**places) as api,
        open_rig(sandbox, folder=folder, **places, **settings) as rig,
        open_api(rig.container) as served_api,
        served(served_api.app) as url,
        httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http,
    ):
        people = [
            await api.add_person("Ada"),
            await api.add_person("Ben"),
            await api.add_person("Root", role=Role.ADMIN),
        ]
        world = World(api, url, http, *people)
        await _fill(world)
        await _give_credentials(world)
        yield world


async def _give_credentials(world: World) -> None:
    database, ada = world.database, world.ada
    async with database.begin() as c:
        await c.execute(update(USERS).where(USERS.c.id == ada.user.id).values(subject="ada"))
    revoked = await give_key(database, ada)
    presented = read_api_key(revoked)
    assert presented is not None
    async with database.begin() as c:
        assert await revoke_key(c, presented.key_id, datetime.now(UTC))
    world.tokens = {
        "nobody": None,
        "Ada": await give_key(database, ada),
        "Ada, read-only key": await give_key(database, ada, Scope.READ),
        "Ada, admin scope": await give_key(database, ada, Scope.ADMIN),
        "Ada, revoked key": revoked,
        "Ada, expired JWT": a_jwt(seconds=-60),
        "another person": await give_key(database, world.ben),
        "admin": await give_key(database, world.root, Scope.ADMIN),
        "admin, write key": await give_key(database, world.root, Scope.WRITE),
    }


def a_jwt(*, seconds: int) -> str:
    """A token of Ada's that may write, and ends so many seconds from now."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "scope": "write", "exp": int(time.time()) + seconds}
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


async def _fill(world: World) -> None:
    """One post of Ada's that has, over its three targets, something in every field; and what only operators see."""
    api, ada = world.api, world.ada
    much = {"avatar_url": "https://example.test/a.png", "expires_at": datetime.now(UTC) + timedelta(days=60)}
    much |= {"expiry_warning": 7}
    for platform in Platform:
        world.accounts[platform] = await api.add_account(ada, platform, **much)
    world.post = await api.schedule(
        ada,
        *world.accounts.values(),
        caption="Ada's",
        link="https://example.test/",
        media=[{"kind": "VIDEO", "url": "https://example.test/a.mp4", "altText": "A harbour"}],
    )
    await _fill_in(world)
    world.own_posts[ada.user.id] = world.post
    for viewer in (world.ben, world.root):
        account = await api.add_account(viewer)
        world.own_posts[viewer.user.id] = await api.schedule(viewer, account, caption="Not Ada's")
    await _fill_operations(world)
    await world.note_owners()


async def _fill_in(world: World) -> None:
    """What only publishing writes: one target waits, one is out, one has failed."""
    now = datetime.now(UTC)
    async with world.database.begin() as c:
        await c.execute(update(POSTS).values(published_at=now))
        await c.execute(update(MEDIA).values(width=1080, height=1920, duration_seconds=12.5))
        targets = (await c.execute(select(TARGETS.c.id).order_by(TARGETS.c.position))).scalars().all()
        waits = {"waiting_code": ErrorCode.RATE_LIMITED, "waiting_message": "Later.", "waiting_until": now}
        out = {"status": "PUBLISHED", "platform_post_id": "17", "permalink": "https://example.test/17"}
        failed = {"status": "FAILED", "error_code": ErrorCode.PLATFORM_ERROR, "error_message": "Ill."}
        for target, values in zip(
            targets,
            (
                waits | {"next_attempt_at": now - timedelta(minutes=1)},
                out | {"published_at": now, "caption": "For here"},
                failed | {"error_retryable": True},
            ),
            strict=True,
        ):
            await c.execute(update(TARGETS).where(TARGETS.c.id == target).values(**values))
            attempt = {"id": new_id(), "target_id": target, "number": 1, "step": "publish", "started_at": now}
            ended = {"ended_at": now, "outcome": "FAILED", "code": ErrorCode.PLATFORM_ERROR, "message": "Ill."}
            await c.execute(insert(ATTEMPTS).values(attempt | ended))


async def _fill_operations(world: World) -> None:
    services, ada = world.api.services, world.ada.user
    async with world.database.begin() as c:
        entry = {"id": new_id(), "actor_id": ada.id, "action": "test", "subject": "nothing", "detail": {"a": 1}}
        await c.execute(insert(AUDIT_LOG).values(entry))
        await c.execute(insert(WORKERS).values(id=new_id(), host="here"))

    async def call() -> None:
        """A call of a platform."""

    for platform in Platform:
        await services.limits.throttle(f"user:{ada.id}", platform, call)

    forced, ill = Platform.FACEBOOK.breaker, Platform.INSTAGRAM.breaker
    await services.breakers.force_open(forced, by="somebody")
    for _ in range(5):
        await services.breakers.execute(ill, call, judge=lambda _: Verdict.FAILURE)
