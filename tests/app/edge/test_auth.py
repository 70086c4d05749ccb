"""Who is asking, by API key."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.auth import Authenticator
from services.backends.database import Database
from services.domain.credentials import mint_api_key
from services.domain.errors import Unauthenticated, Unavailable
from services.domain.viewers import Role, Scope
from tests.app.edge.conftest import Edge
from tests.faulty import network_before_postgres, through

MakeKey = Callable[..., Awaitable[str]]


class Clock:
    """A clock that the test moves, in seconds."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time

    def now(self) -> datetime:
        """The same as a moment."""
        return datetime.fromtimestamp(1_700_000_000 + self.time, UTC)


@pytest.fixture
def clock() -> Clock:
    """One for the test."""
    return Clock()


@pytest.fixture
def authenticator(database: Database, clock: Clock) -> Authenticator:
    """As the product has it, with the test's clock."""
    return Authenticator(database=database, jwts=None, now=clock.now, clock=clock)


async def run_sql(database: Database, statement: str) -> Any:
    """One statement's first value."""
    async with database.connect() as connection:
        result = await connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


async def test_key_names_its_user_and_scope(authenticator: Authenticator, a_key: MakeKey) -> None:
    """The scheme's case does not matter."""
    token = await a_key(name="Ada", role=Role.ADMIN, scope=Scope.READ)
    viewer = await authenticator.identify(f"bearer  {token}")
    assert viewer is not None
    assert (viewer.user.name, viewer.user.role, viewer.scope) == ("Ada", Role.ADMIN, Scope.READ)
    assert not viewer.is_admin
    assert not viewer.can_write
    assert token not in repr(viewer)


async def test_no_header_is_nobody(authenticator: Authenticator) -> None:
    """Which is allowed here; fields say for themselves who may ask."""
    assert await authenticator.identify(None) is None


async def test_bad_credential_is_unauthenticated_whatever_is_wrong(
    authenticator: Authenticator, a_key: MakeKey, clock: Clock
) -> None:
    """And every wrong key is answered in the same words: nobody learns which ids exist."""
    token, other = await a_key(), mint_api_key().token
    expired = await a_key(expires_at=clock.now())
    words = set()
    for wrong in (other, token[:39] + other[39:], expired):
        with pytest.raises(Unauthenticated) as refusal:
            await authenticator.identify(f"Bearer {wrong}")
        words.add(refusal.value.message)
    assert len(words) == 1
    for wrong in ("", "Bearer", "Bearer ", f"Basic {token}", token, f"Bearer {token[:-1]}", f"Bearer {token} x"):
        with pytest.raises(Unauthenticated):
            await authenticator.identify(wrong)


async def test_revoked_key_ends_within_five_seconds(
    authenticator: Authenticator, a_key: MakeKey, database: Database, clock: Clock
) -> None:
    """So long the database's word is remembered; until then it costs no statement."""
    header = f"Bearer {await a_key()}"
    assert await authenticator.identify(header)
    await run_sql(database, "UPDATE api_keys SET revoked_at = now()")
    clock.time += 3.9
    assert await authenticator.identify(header)
    clock.time += 0.2
    with pytest.raises(Unauthenticated):
        await authenticator.identify(header)


async def test_expiry_needs_no_look_at_the_database(authenticator: Authenticator, a_key: MakeKey, clock: Clock) -> None:
    """A remembered key expires on time."""
    header = f"Bearer {await a_key(expires_at=clock.now() + timedelta(seconds=1))}"
    viewer = await authenticator.identify(header)
    assert viewer is not None
    assert viewer.expires_at == clock.now() + timedelta(seconds=1)
    clock.time += 1
    with pytest.raises(Unauthenticated):
        await authenticator.identify(header)


async def test_new_key_is_known_soon_after_it_was_not(
    authenticator: Authenticator, database: Database, a_key: MakeKey, clock: Clock
) -> None:
    """Absence is remembered no longer than presence."""
    header = f"Bearer {await a_key()}"
    await run_sql(database, "UPDATE api_keys SET revoked_at = now()")
    with pytest.raises(Unauthenticated):
        await authenticator.identify(header)
    await run_sql(database, "UPDATE api_keys SET revoked_at = NULL")
    clock.time += 4.1
    assert await authenticator.identify(header)


async def test_known_key_still_works_while_the_database_is_away(
    database_url: str, database: Database, a_key: MakeKey, clock: Clock
) -> None:
    """For some minutes, so that operators can look; unknown keys get UNAVAILABLE, not a verdict."""
    async with network_before_postgres(database_url) as network:
        behind = Database(url=through(database_url, network), pool_min=1, pool_max=2)
        await behind.open()
        authenticator = Authenticator(database=behind, jwts=None, now=clock.now, clock=clock)
        known, unknown = f"Bearer {await a_key()}", f"Bearer {await a_key()}"
        assert await authenticator.identify(known)
        network.hang()
        network.cut()
        clock.time += 10
        assert await authenticator.identify(known)
        with pytest.raises(Unavailable):
            await authenticator.identify(unknown)
        clock.time += 300
        with pytest.raises(Unavailable):
            await authenticator.identify(known)
        network.heal()
        network.cut()
        await behind.close()


async def test_use_of_keys_is_written_down_together_and_lazily(
    authenticator: Authenticator, database: Database, a_key: MakeKey, clock: Clock
) -> None:
    """At most once a minute, and at the end."""
    for token in [await a_key(), await a_key()]:
        await authenticator.identify(f"Bearer {token}")
    assert await run_sql(database, "SELECT count(last_used_at) FROM api_keys") == 0
    clock.time += 60
    await authenticator.identify(f"Bearer {await a_key()}")
    for _ in range(100):
        if await run_sql(database, "SELECT count(last_used_at) FROM api_keys") == 3:
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("the uses were never written")
    used_at = await run_sql(database, "SELECT max(last_used_at) FROM api_keys")
    await authenticator.identify(f"Bearer {token}")
    clock.time += 1
    await authenticator.close()
    assert await run_sql(database, "SELECT max(last_used_at) FROM api_keys") > used_at


async def test_request_with_a_bad_credential_is_401_and_runs_nothing(edge: Edge, a_key: MakeKey) -> None:
    """Even where nobody would be allowed to ask; a good one is answered."""
    running = await edge()
    for accept in ("application/json", "application/graphql-response+json"):
        headers = {"Authorization": "Bearer nonsense", "Accept": accept}
        response = await running.ask("{quick}", headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert not running.edge.contexts
    good = {"Authorization": f"Bearer {await a_key(name='Ada')}"}
    assert (await running.ask("{viewerName}", headers=good)).json()["data"] == {"viewerName": "Ada"}
    assert (await running.ask("{viewerName}")).json()["data"] == {"viewerName": None}
