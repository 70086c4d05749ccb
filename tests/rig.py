"""A whole Crier in the test's hand: real PostgreSQL and Redis, real clients, a real sandbox, and impatient policies."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends import open_backends
from app.container import Container
from app.embedded import Endpoints
from app.sandbox.running import RunningSandbox
from app.settings import Settings
from app.windows import windows_of
from services.domain.accounts import Account, ConnectedProfile, Platform, Tokens
from services.domain.drafts import MediaDraft, PostDraft
from services.domain.errors import ErrorCode, Refused
from services.domain.ids import new_id
from services.domain.pages import PageRequest
from services.domain.posts import Attempt, MediaKind, PostState, PostTarget, TargetStatus
from services.domain.viewers import Role, Scope, User, Viewer
from services.models import ACCOUNTS, POSTS, TARGETS
from services.providers.base import Provider
from services.providers.facebook import FacebookProvider
from services.providers.instagram import InstagramProvider
from services.providers.media_source import MediaSource
from services.providers.pacing import Pacing
from services.providers.youtube import YouTubeProvider
from services.publishing.allowances import Allowances
from services.publishing.claiming import Claimer
from services.publishing.endings import Endings
from services.publishing.preparing import Preparer
from services.publishing.publisher import Publisher
from services.publishing.recording import Recorder
from services.publishing.rescue import rescue_targets
from services.publishing.retry import RetryPolicy
from services.publishing.windows import PublicationWindows
from services.queries.attempts import page_attempts
from services.queries.claims import Claim
from services.queries.states import read_state
from services.queries.turns import find_next_due
from services.queries.users import insert_user

QUICK = Pacing(first=timedelta(milliseconds=1), longest=timedelta(milliseconds=8), limit=6)
MINUTE = timedelta(minutes=1)
KEY = "a key of the tests that is long enough to be one"


def now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


def _whole_wait() -> float:
    """The jitter of retries: none. One that happened to wait for nothing would be made before a test has looked."""
    return 1.0


@dataclass(frozen=True)
class Rig:
    """The parts of one process, and what tests do with them."""

    container: Container
    sandbox: RunningSandbox
    worker_id: UUID

    async def add_user(self, name: str = "Ada", *, role: Role = Role.PERSON) -> Viewer:
        """Somebody who may write."""
        user = User(new_id(), name, role, now())
        async with self.container.backends.database.begin() as c:
            await insert_user(c, user_id=user.id, name=name, role=role)
        return Viewer(user, Scope.WRITE, "key:test")

    async def add_account(self, viewer: Viewer, platform: Platform = Platform.FACEBOOK, **changes: Any) -> Account:
        """A fresh account of the sandbox, connected as the end of an OAuth round trip connects it."""
        [account] = await self.container.accounts.store_profiles(
            viewer.user.id, platform, [await self.profile(platform, **changes)]
        )
        return account

    async def profile(
        self, platform: Platform, *, external_id: str | None = None, expires_at: datetime | None = None
    ) -> ConnectedProfile:
        """What the platform says of a new account (or of one that is there), with working tokens."""
        order: dict[str, str] = {"platform": platform.value.lower()}
        if external_id is not None:
            order["id"] = external_id
        answer = await self.container.backends.http.post(f"{self.sandbox.url}/control/accounts", json=order)
        made = answer.raise_for_status().json()
        ends = expires_at or (datetime.fromisoformat(made["expires_at"]) if made["expires_at"] else None)
        handle = made["account"]["handle"]
        tokens = Tokens(made["access_token"], made["refresh_token"], ends, tuple(made["scopes"]))
        return ConnectedProfile(made["account"]["id"], handle, handle, None, tokens)

    def draft(self, *accounts: Account, caption: str = "Good morning", hours: float = 1, **more: Any) -> PostDraft:
        """A post for these accounts; `sample` names one of the sandbox's own media."""
        sample = more.pop("sample", None)
        if sample is not None:
            more["media"] = tuple(self.medium(name) for name in sample.split())
        time = {"scheduled_at": now() + timedelta(hours=hours)}
        return PostDraft(caption=caption, account_ids=tuple(account.id for account in accounts), **{**time, **more})

    def medium(self, sample: str) -> MediaDraft:
        """One of the sandbox's own media."""
        kind = MediaKind.VIDEO if sample.endswith("mp4") else MediaKind.IMAGE
        return MediaDraft(kind, f"{self.sandbox.url}/samples/{sample}")

    async def schedule(self, viewer: Viewer, *accounts: Account, **draft: Any) -> PostState:
        """A post whose time is still to come."""
        return await self.container.posts.schedule_post(viewer, self.draft(*accounts, **draft), idempotency_key=None)

    async def schedule_due(self, viewer: Viewer, *accounts: Account, **draft: Any) -> PostState:
        """A post whose time has just come."""
        post = await self.schedule(viewer, *accounts, **draft)
        await self.come(post)
        return post

    async def schedule_due_blocked(self, viewer: Viewer, account: Account) -> PostState:
        """A due post for an account that cannot publish any more."""
        draft = self.draft(account, scheduled_at=None)
        post = await self.container.posts.create_draft(viewer, draft, idempotency_key=None)
        await self.write(
            update(TARGETS)
            .where(TARGETS.c.post_id == post.post.id)
            .values(status=TargetStatus.SCHEDULED, next_attempt_at=now(), calendar_at=now())
        )
        return post

    async def come(self, post: PostState, *, ago: timedelta = timedelta(0)) -> None:
        """Let the post's time have come, some while ago."""
        at = now() - ago
        await self.write(update(POSTS).where(POSTS.c.id == post.post.id).values(scheduled_at=at))
        times = {"calendar_at": at, "next_attempt_at": at}
        await self.write(update(TARGETS).where(TARGETS.c.post_id == post.post.id).values(**times))

    async def state(self, post: PostState) -> PostState:
        """The post as it stands."""
        async with self.container.backends.database.connect() as c:
            found = await read_state(c, post.post.id, owner=None)
        assert found is not None
        return found

    async def target(self, post: PostState) -> PostTarget:
        """The only target of the post as it stands."""
        [target] = (await self.state(post)).targets
        return target

    async def row(self, post: PostState) -> Any:
        """The only target as it is stored."""
        return (await self.rows(select(TARGETS).where(TARGETS.c.post_id == post.post.id)))[0]

    async def rows(self, statement: Any) -> Sequence[Any]:
        """What a statement gives."""
        async with self.container.backends.database.connect() as c:
            return (await c.execute(statement)).all()

    async def write(self, statement: Any) -> int:
        """Change rows as nothing but time, an operator or a fault could; gives how many."""
        async with self.container.backends.database.begin() as c:
            changed: int = (await c.execute(statement)).rowcount
        return changed

    async def account_row(self, account: Account) -> Any:
        """The account as it is stored."""
        return (await self.rows(select(ACCOUNTS).where(ACCOUNTS.c.id == account.id)))[0]

    async def ledger(self, post: PostState) -> list[Attempt]:
        """All lines of the only target's ledger."""
        target = await self.target(post)
        async with self.container.backends.database.connect() as c:
            pages = await page_attempts(c, [target.id], page=PageRequest(size=1000))
        return list(pages[target.id].nodes)

    async def hurry(self, *statuses: TargetStatus) -> int:
        """Let the time of what waits have come; gives how many there were."""
        wanted = statuses or tuple(TargetStatus)
        waits = (TARGETS.c.next_attempt_at.is_not(None)) & TARGETS.c.status.in_(wanted)
        return await self.write(update(TARGETS).where(waits).values(next_attempt_at=text("now()")))

    async def slots(self, viewer: Viewer, platform: Platform) -> int:
        """How much of a person's hour is used."""
        info = await self.container.limits.get_rate_limit_info(f"user:{viewer.user.id}", platform)
        return info.used

    def windows(self) -> PublicationWindows:
        """The windows of the rig's settings."""
        return windows_of(self.container.settings, self.container.limits, now=now)

    def claimer(
        self, *, lease_for: timedelta = MINUTE, missed_after: timedelta = timedelta(hours=6), room: int = 200
    ) -> Claimer:
        """A claimer with the default limits."""
        return Claimer(
            transactions=self.container.backends.transactions,
            quotas=self.container.quotas,
            windows=self.windows(),
            now=now,
            lease_for=lease_for,
            missed_after=missed_after,
            room=room,
        )

    def publisher(
        self,
        *,
        lease_for: timedelta = MINUTE,
        patience: timedelta = MINUTE,
        retry: RetryPolicy | None = None,
        pacing: Pacing = QUICK,
        providers: Mapping[Platform, Provider] | None = None,
        clock: Callable[[], datetime] = now,
    ) -> Publisher:
        """A publisher that waits for nothing."""
        endings = Endings(now=clock, random=_whole_wait, retry=retry or RetryPolicy(), patience=patience)
        return Publisher(**self._courier(endings, lease_for, providers or self.providers(pacing), clock))

    def preparer(
        self,
        *,
        pacing: Pacing = QUICK,
        providers: Mapping[Platform, Provider] | None = None,
        lease_for: timedelta = MINUTE,
    ) -> Preparer:
        """A preparer that waits for nothing."""
        endings = Endings(now=now, random=_whole_wait, retry=RetryPolicy(), patience=MINUTE)
        return Preparer(**self._courier(endings, lease_for, providers or self.providers(pacing), now))

    def _courier(
        self,
        endings: Endings,
        lease_for: timedelta,
        providers: Mapping[Platform, Provider],
        clock: Callable[[], datetime],
    ) -> dict[str, Any]:
        return {
            "recorder": Recorder(
                transactions=self.container.backends.transactions,
                quotas=self.container.quotas,
                endings=endings,
                lease_for=lease_for,
            ),
            "providers": providers,
            "breakers": self.container.breakers,
            "secrets": self.container.secrets,
            "endings": endings,
            "media_url": self.container.links.renew,
            "now": clock,
            "lease_for": lease_for,
            "allowances": Allowances(limits=self.container.limits, windows=self.windows().of_projects),
        }

    def providers(self, pacing: Pacing = QUICK) -> dict[Platform, Provider]:
        """The real clients, as patient as `pacing`."""
        backends, configs = self.container.backends, self.container.platforms
        shared: dict[str, Any] = {"http": backends.http, "now": now, "processing": pacing}
        media = MediaSource(http=backends.media_http)
        instagram, facebook, youtube = Platform.INSTAGRAM, Platform.FACEBOOK, Platform.YOUTUBE
        return {
            instagram: InstagramProvider(config=configs[instagram], grace=pacing, reading=pacing, **shared),
            facebook: FacebookProvider(config=configs[facebook], grace=pacing, **shared),
            youtube: YouTubeProvider(
                config=configs[youtube], media=media, reading=pacing, piece_bytes=256 * 1024, **shared
            ),
        }

    async def claim(self, claimer: Claimer | None = None) -> Claim:
        """The one target that is due."""
        [claim] = await (claimer or self.claimer()).claim_due(self.worker_id, limit=50)
        return claim

    async def publish(self, publisher: Publisher | None = None, claimer: Claimer | None = None) -> None:
        """Take all that is due to where it waits or ends; what only asks or polls is not waited for."""
        publisher, claimer = publisher or self.publisher(), claimer or self.claimer()
        for _ in range(100):
            claims = await claimer.claim_due(self.worker_id, limit=50)
            await asyncio.gather(*(publisher.publish(claim) for claim in claims))
            if not (claims or await self.is_due() or await self.hurry(TargetStatus.PUBLISHING)):
                return
        raise AssertionError("no end of publishing")

    async def is_due(self) -> bool:
        """Whether a claim would find anything."""
        async with self.container.backends.database.connect() as c:
            due = await find_next_due(c)
        return due.seconds is not None and due.seconds <= 0

    async def rescue(self) -> int:
        """The leases of all workers have run out, and somebody has noticed."""
        ends = update(TARGETS).where(TARGETS.c.lease_until.is_not(None))
        await self.write(ends.values(lease_until=text("now() - interval '1 second'")))
        return await rescue_targets(self.container.backends.transactions)

    def seen(self, account: Account) -> list[dict[str, Any]]:
        """What people see of an account."""
        answer = self.sandbox.http.get("/control/publications", params={"account": account.external_id})
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found

    def requests(self, route: str) -> list[dict[str, Any]]:
        """What came to one route of the sandbox."""
        answer = self.sandbox.http.get("/control/requests", params={"route": route})
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[RunningSandbox]:
    """One sandbox per xdist worker."""
    with RunningSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def rig(  # noqa: PLR0917 - pytest names them
    request: pytest.FixtureRequest,
    running_sandbox: RunningSandbox,
    database: AsyncEngine,
    redis: Redis,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
) -> AsyncIterator[Rig]:
    """A whole Crier before a sandbox as on its first day; the database and Redis are emptied afterwards. A test that
    wants other settings says so: `rig_with(db_pool_max=1)`."""
    running_sandbox.reset()
    places = {"database_url": database_url, "redis_url": redis_url, "folder": tmp_path}
    async with open_rig(running_sandbox, **places, **getattr(request, "param", {})) as rig:
        yield rig


def rig_with(**settings: Any) -> pytest.MarkDecorator:
    """Marks tests whose `rig` has these settings."""
    return pytest.mark.parametrize("rig", [settings], ids=[""], indirect=True)


@asynccontextmanager
async def open_rig(
    sandbox: RunningSandbox, *, database_url: str, redis_url: str, folder: Path, **settings: Any
) -> AsyncIterator[Rig]:
    """The parts of one process on these servers."""
    chosen = settings_for(sandbox, database_url=database_url, redis_url=redis_url, folder=folder, **settings)
    endpoints = Endpoints(database_url=database_url, redis_url=redis_url)
    async with open_backends(chosen, endpoints) as backends:
        yield Rig(Container(chosen, endpoints, (KEY,), backends), sandbox, new_id())


def settings_for(sandbox: RunningSandbox, *, folder: Path, **settings: Any) -> Settings:
    """The defaults, on these servers."""
    port = httpx.URL(sandbox.url).port
    given: dict[str, Any] = {"data_dir": folder, "sandbox_port": port, "db_pool_min": 1, "secret_keys": (KEY,)}
    return Settings(**given, **settings)


class Refusal:
    """`with refused(ErrorCode.CONFLICT, "expectedVersion"):` the block raises `Refused` with exactly this."""

    def __init__(self, code: ErrorCode, field: str | None) -> None:
        self._expected = [(code, field)]

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        """Swallow what was expected."""
        assert isinstance(error, Refused), f"expected {self._expected}, and nothing was refused"
        assert [(one.code, one.field) for one in error.errors] == self._expected
        return True


def refused(code: ErrorCode, field: str | None = None) -> Refusal:
    """What the block must be refused with."""
    return Refusal(code, field)
