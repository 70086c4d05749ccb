"""Who is asking, by API key."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import text

from app.auth import Authenticator
from app.remembering import Remembered
from services.backends.database import Database
from services.backends.deadline import deadline_in
from services.backends.statements import tally_statements
from services.domain.credentials import mint_api_key, read_api_key
from services.domain.errors import TimedOut, Unauthenticated, Unavailable
from services.domain.viewers import Role, Scope
from services.queries.users import revoke_key
from tests.app.edge.conftest import Edge
from tests.faulty import FaultyNetwork, network_before_postgres, through
from tests.services.backends.watching import eventually

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


async def test_who_keeps_coming_never_waits_for_the_database(
    authenticator: Authenticator, database: Database, a_key: MakeKey, clock: Clock
) -> None:
    """The next word is there before the last is old, and is the database's: a key that was revoked ends even sooner."""
    header = f"Bearer {await a_key()}"
    assert await authenticator.identify(header)
    for _ in range(5):
        clock.time += 3
        with tally_statements() as tally:
            assert await authenticator.identify(header)
        assert tally.statements == 0
        await eventually(lambda: not authenticator._keys._ahead)

    await run_sql(database, "UPDATE api_keys SET revoked_at = now()")
    clock.time += 2
    assert await authenticator.identify(header)
    await eventually(lambda: not authenticator._keys._ahead)
    with pytest.raises(Unauthenticated):
        await authenticator.identify(header)
    await authenticator.close()


async def test_words_about_to_be_old_are_asked_for_together(clock: Clock) -> None:
    """Three come at once in the second half of the time: one question. Who is not known is not asked for ahead."""
    questions: list[list[str]] = []

    async def read(keys: Sequence[str]) -> dict[str, int]:
        questions.append(sorted(keys))
        return {key: len(key) for key in keys if key != "nobody"}

    remembered = Remembered[str, int](read, clock=clock)
    names = ["a", "bb", "ccc", "nobody"]
    for name in names:
        await remembered.get(name)
    del questions[:]
    clock.time += 1.9
    assert [await remembered.get(name) for name in names] == [1, 2, 3, None]
    clock.time += 0.2
    assert [await remembered.get(name) for name in names * 3] == [1, 2, 3, None] * 3
    await eventually(lambda: not remembered._ahead)

    assert questions == [["a", "bb", "ccc"]]


async def test_crowd_that_has_to_wait_waits_for_one_question(clock: Clock) -> None:
    """Forty who were never here, each of whom comes twice; one who leaves takes nobody along, one in a hurry only
    themselves, and who comes while it is asked asks anew."""
    questions: list[list[str]] = []
    may_answer = asyncio.Event()

    async def read(keys: Sequence[str]) -> dict[str, int]:
        questions.append(sorted(keys))
        await may_answer.wait()
        if "broken" in keys:
            raise Unavailable("The database is away.")
        return {key: len(key) for key in keys}

    remembered = Remembered[str, int](read, clock=clock)
    names = [f"{number:02}" for number in range(40)] * 2
    waiting = [asyncio.create_task(remembered.get(name)) for name in names]
    with deadline_in(timedelta(milliseconds=50)):
        hurried = asyncio.create_task(remembered.get("in a hurry"))
    await eventually(lambda: bool(questions))
    late = [asyncio.create_task(remembered.get(name)) for name in ("late", "broken")]
    waiting.pop(0).cancel()
    with pytest.raises(TimedOut):
        await hurried
    await eventually(lambda: len(questions) > 1)
    may_answer.set()

    assert await asyncio.gather(*waiting) == [2] * 79
    for task in late:
        with pytest.raises(Unavailable):
            await task
    assert questions == [sorted({*names, "in a hurry"}), ["broken", "late"]]
    assert not remembered._questions


async def test_question_ahead_that_fails_is_asked_again_by_who_needs_it(clock: Clock) -> None:
    """Nobody hears of it who was not asking."""
    fails = False

    async def read(keys: Sequence[str]) -> dict[str, int]:
        if fails:
            raise Unavailable("The database is away.")
        return dict.fromkeys(keys, 1)

    remembered = Remembered[str, int](read, clock=clock)
    await remembered.get("a")
    fails = True
    clock.time += 3
    assert await remembered.get("a") == 1
    await eventually(lambda: not remembered._ahead)
    fails = False
    clock.time += 1.5
    assert await remembered.get("a") == 1


class Behind(NamedTuple):
    """An authenticator, and the network between it and the database."""

    authenticator: Authenticator
    network: FaultyNetwork

    def lose_database(self) -> None:
        """From now on nobody answers."""
        self.network.hang()
        self.network.cut()


@pytest.fixture
async def behind(database_url: str, database: Database, clock: Clock) -> AsyncIterator[Behind]:
    """With the test's clock."""
    async with network_before_postgres(database_url) as network:
        pool = Database(url=through(database_url, network), pool_min=1, pool_max=2)
        await pool.open()
        yield Behind(Authenticator(database=pool, jwts=None, now=clock.now, clock=clock), network)
        network.heal()
        network.cut()
        await pool.close()


async def test_known_key_still_works_while_the_database_is_away(behind: Behind, a_key: MakeKey, clock: Clock) -> None:
    """For half a day, so that operators can look and act; unknown keys get UNAVAILABLE, not a verdict."""
    known, unknown = f"Bearer {await a_key()}", f"Bearer {await a_key()}"
    ends_soon = f"Bearer {await a_key(expires_at=clock.now() + timedelta(hours=1))}"
    for key in (known, ends_soon):
        assert await behind.authenticator.identify(key)
    behind.lose_database()
    for hours in (0.01, 5, 6.9):
        clock.time += hours * 3_600
        assert await behind.authenticator.identify(known)
    with pytest.raises(Unauthenticated):  # an end that is known needs nobody to ask
        await behind.authenticator.identify(ends_soon)
    with pytest.raises(Unavailable):
        await behind.authenticator.identify(unknown)
    clock.time += 0.1 * 3_600
    with pytest.raises(Unavailable):
        await behind.authenticator.identify(known)


async def test_known_key_is_not_kept_waiting_by_a_database_that_hangs(
    behind: Behind, a_key: MakeKey, clock: Clock
) -> None:
    """On the connections that stand a statement would be given up after seven seconds."""
    key = f"Bearer {await a_key()}"
    await behind.authenticator.identify(key)
    behind.network.hang()
    clock.time += 60
    async with asyncio.timeout(5):
        assert await behind.authenticator.identify(key)


async def test_key_of_long_ago_is_not_believed_when_the_database_goes(
    behind: Behind, a_key: MakeKey, clock: Clock
) -> None:
    """It may have been revoked since, while others were still answered."""
    seldom, often = f"Bearer {await a_key()}", f"Bearer {await a_key()}"
    await behind.authenticator.identify(seldom)
    clock.time += 301
    await behind.authenticator.identify(often)
    behind.lose_database()
    clock.time += 10
    assert await behind.authenticator.identify(often)
    with pytest.raises(Unavailable):
        await behind.authenticator.identify(seldom)


async def test_operators_are_known_when_it_matters(
    behind: Behind, database: Database, a_key: MakeKey, clock: Clock
) -> None:
    """Whoever makes an operator is let in when the database is gone, never here before or hours ago; not so whose key
    or role was taken away before that, whose key is for less, and people."""
    idle, revoked, demoted = [f"Bearer {await a_key(role=Role.ADMIN, scope=Scope.ADMIN)}" for _ in range(3)]
    stranger, ended = [f"Bearer {await a_key(role=Role.ADMIN, scope=Scope.ADMIN)}" for _ in range(2)]
    person, reader = f"Bearer {await a_key()}", f"Bearer {await a_key(role=Role.ADMIN, scope=Scope.WRITE)}"
    for key in (idle, revoked, demoted, person, reader):
        assert await behind.authenticator.identify(key)
    async with database.begin() as connection:
        for key in (revoked, ended):
            assert await revoke_key(connection, key_id_of(key), clock.now())
        taken = "UPDATE users SET role = 'PERSON' WHERE id = (SELECT user_id FROM api_keys WHERE id = :key)"
        await connection.execute(text(taken), {"key": key_id_of(demoted)})
    clock.time += 5 * 3_600
    await behind.authenticator.ask_again()
    behind.lose_database()
    clock.time += 3_600
    for key in (idle, stranger):
        viewer = await behind.authenticator.identify(key)
        assert viewer is not None
        assert viewer.is_admin
    no_operator = await behind.authenticator.identify(demoted)
    assert no_operator is not None
    assert not no_operator.is_admin
    with pytest.raises(Unauthenticated):
        await behind.authenticator.identify(revoked)
    for key in (person, reader, ended):
        with pytest.raises(Unavailable):
            await behind.authenticator.identify(key)


def key_id_of(header: str) -> UUID:
    """The public half of the key that a header presents."""
    key = read_api_key(header.removeprefix("Bearer "))
    assert key is not None
    return key.key_id


async def test_half_a_day_begins_when_nobody_answers(behind: Behind, a_key: MakeKey, clock: Clock) -> None:
    """Not when somebody last came."""
    key = f"Bearer {await a_key(role=Role.ADMIN, scope=Scope.ADMIN)}"
    await behind.authenticator.identify(key)
    clock.time += 10 * 3_600
    await behind.authenticator.ask_again()
    behind.lose_database()
    clock.time += 11 * 3_600
    assert await behind.authenticator.identify(key)
    clock.time += 2 * 3_600
    with pytest.raises(Unavailable):
        await behind.authenticator.identify(key)


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
