"""The demo of a local run: one person, one admin, an account on each platform, posts past and coming.

Everything goes the ordinary way: accounts are connected, posts scheduled, and the worker publishes the past ones to the
sandbox within seconds of the first start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from app.container import Container
from app.foundations import utc_now
from app.keyring import write_private
from services.domain.accounts import Account, ConnectedProfile, Platform, Tokens
from services.domain.credentials import mint_api_key, read_api_key
from services.domain.drafts import MediaDraft, PostDraft
from services.domain.ids import new_id
from services.domain.posts import MediaKind, PostFilter
from services.domain.viewers import Role, Scope, User, Viewer
from services.queries.posts import count_posts
from services.queries.users import find_credentials, find_user_by_subject, insert_key, insert_user

PERSON, ADMIN = "demo", "demo-admin"
TOKEN_FILES = {PERSON: "demo-token", ADMIN: "admin-token"}

HANDLES = {
    Platform.INSTAGRAM: ("harbour.bakery", "Harbour Bakery"),
    Platform.FACEBOOK: ("harbourbakery", "Harbour Bakery"),
    Platform.YOUTUBE: ("harbourbakery", "Harbour Bakery Films"),
}


@dataclass(frozen=True, slots=True)
class DemoTokens:
    """The API keys of the demo's two users, as they are printed."""

    person: str
    admin: str


async def ensure_demo(container: Container) -> DemoTokens:
    """Make the demo where it is not there yet; gives its tokens, new ones where the files' hold no longer.

    The files may be another database's: the data folder stays the same when DATABASE_URL is set for the first time.
    """
    folder = container.settings.data_dir
    person = await _ensure_user(container, PERSON, "Demo Person", Role.PERSON)
    admin = await _ensure_user(container, ADMIN, "Demo Admin", Role.ADMIN)
    tokens = DemoTokens(
        person=await _ensure_token(container, person, folder / TOKEN_FILES[PERSON]),
        admin=await _ensure_token(container, admin, folder / TOKEN_FILES[ADMIN]),
    )
    await _ensure_posts(container, person)
    return tokens


async def _ensure_user(container: Container, subject: str, name: str, role: Role) -> User:
    async with container.backends.database.begin() as c:
        user = await find_user_by_subject(c, subject)
        if user is None:
            await insert_user(c, user_id=new_id(), name=name, role=role, subject=subject)
            user = await find_user_by_subject(c, subject)
    assert user is not None  # noqa: S101 - inserted in this very transaction
    return user


async def _ensure_token(container: Container, user: User, path: Path) -> str:
    kept = path.read_text().strip() if path.exists() else ""  # noqa: ASYNC240 - once, at start
    if await _is_of(container, user, kept):
        return kept
    key = mint_api_key()
    scope = Scope.ADMIN if user.role is Role.ADMIN else Scope.WRITE
    async with container.backends.database.begin() as c:
        await insert_key(c, key_id=key.key_id, user_id=user.id, name="demo", secret_hash=key.secret_hash, scope=scope)
    write_private(path, key.token + "\n")
    return key.token


async def _is_of(container: Container, user: User, token: str) -> bool:
    """Whether the token is a key of this user that still holds."""
    key = read_api_key(token)
    if key is None:
        return False
    async with container.backends.database.connect() as c:
        stored = (await find_credentials(c, [key.key_id])).get(key.key_id)
    if stored is None or stored.user.id != user.id:
        return False
    return key.matches(stored.secret_hash) and stored.holds(utc_now())


async def _ensure_posts(container: Container, user: User) -> None:
    async with container.backends.database.connect() as c:
        if await count_posts(c, owner=user.id, wanted=PostFilter()):
            return
    viewer = Viewer(user=user, scope=Scope.WRITE, credential="demo")
    # With credentials of their own set, a platform is the real one, where the demo's accounts do not exist.
    sandbox_url = container.settings.sandbox_url
    played = [name for name, config in container.platforms.items() if config.hosts.graph.startswith(sandbox_url)]
    accounts = {platform: await _connect(container, user.id, platform) for platform in played}
    for draft in _drafts(accounts, utc_now(), sandbox_url):
        create = container.posts.create_draft if draft.scheduled_at is None else container.posts.schedule_post
        await create(viewer, draft, idempotency_key=None)


def _drafts(accounts: Mapping[Platform, Account], now: datetime, sandbox_url: str) -> list[PostDraft]:
    """What a small bakery says, on those of its accounts that are there."""
    drafts = _bakery(accounts, now, sandbox_url)
    return [draft for draft in drafts if draft.account_ids]


def _bakery(accounts: Mapping[Platform, Account], now: datetime, sandbox_url: str) -> Iterator[PostDraft]:
    """Some within seconds, some over the next weeks, one not decided yet."""

    def post(
        caption: str, delay: timedelta | None, *platforms: Platform, sample: str | None = None, link: str | None = None
    ) -> PostDraft:
        kind = MediaKind.VIDEO if sample == "clip.mp4" else MediaKind.IMAGE
        return PostDraft(
            caption=caption,
            account_ids=tuple(accounts[platform].id for platform in platforms if platform in accounts),
            scheduled_at=None if delay is None else now + delay,
            link=link,
            media=() if sample is None else (MediaDraft(kind, f"{sandbox_url}/samples/{sample}"),),
        )

    instagram, facebook, youtube = Platform.INSTAGRAM, Platform.FACEBOOK, Platform.YOUTUBE
    yield post("The oven is lit. First loaves at six.", timedelta(seconds=2), instagram, facebook, sample="sunrise.jpg")
    yield post("New on the shelf: rye with roasted walnuts.", timedelta(seconds=3), facebook)
    yield post("How a sourdough wakes up, in four seconds", timedelta(seconds=3), instagram, youtube, sample="clip.mp4")
    yield post("Friday is cinnamon day.", timedelta(hours=3), instagram, facebook, sample="dusk.jpg")
    yield post("Our flour comes from here.", timedelta(days=1), instagram, sample="forest.jpg")
    yield post("We are hiring: an early bird is wanted.", timedelta(days=3), facebook, link="https://example.com/jobs")
    yield post("Behind the counter, part two", timedelta(days=6), youtube, sample="clip.mp4")
    yield post("Closed on the holiday; back on Tuesday.", timedelta(days=12), instagram, facebook, sample="ocean.jpg")
    yield post("An idea: a bread a month, by mail?", None, facebook)


async def _connect(container: Container, owner: UUID, platform: Platform) -> Account:
    """An account made by the sandbox, stored as the end of an OAuth round trip stores it."""
    handle, name = HANDLES[platform]
    order = {"platform": platform.value.lower(), "handle": handle, "name": name}
    answer = await container.backends.http.post(f"{container.settings.sandbox_url}/control/accounts", json=order)
    made: dict[str, Any] = answer.raise_for_status().json()
    expires_at = made["expires_at"]
    profile = ConnectedProfile(
        external_id=made["account"]["id"],
        handle=handle,
        display_name=name,
        avatar_url=None,
        tokens=Tokens(
            access=made["access_token"],
            refresh=made["refresh_token"],
            expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
            scopes=tuple(made["scopes"]),
        ),
    )
    [account] = await container.accounts.store_profiles(owner, platform, [profile])
    return account
