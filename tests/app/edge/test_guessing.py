"""Who keeps presenting wrong credentials waits; who has a right one does not."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count

import pytest
from redis.asyncio import Redis
from starlette.requests import HTTPConnection

from app.api import open_api
from app.auth import Authenticator
from app.doorkeeping import Doorkeeper, address_of
from benchmarks.edge import send_to
from services.backends.database import Database
from services.backends.redis import RedisGate
from services.domain.credentials import mint_api_key
from services.guards.api_budget import ApiBudget
from services.guards.failures import FailedAttempts
from tests.app.edge.conftest import Edge, RunningEdge
from tests.app.edge.test_sockets import opened
from tests.rig import Rig

MakeKey = Callable[..., Awaitable[str]]
MOST = 5


@pytest.fixture
async def running(edge: Edge, database: Database, redis: Redis, redis_url: str) -> RunningEdge:
    """An edge that takes five wrong credentials a minute."""
    gate = RedisGate(url=redis_url)
    shared = ApiBudget(gate=gate, capacity=MOST, per_second=MOST / 60, on_unguarded=lambda: None)
    doorkeeper = Doorkeeper(FailedAttempts(shared=shared, most=MOST))
    authenticator = Authenticator(
        database=database, jwts=None, now=lambda: datetime.now(UTC), doorkeeper=doorkeeper, clock=count().__next__
    )
    return await edge(authenticator=authenticator)


async def status_of(running: RunningEdge, token: str) -> int:
    """What a credential is answered with."""
    return (await running.ask("{quick}", headers={"Authorization": f"Bearer {token}"})).status_code


async def test_guesses_are_answered_429_after_a_while_whatever_they_are(running: RunningEdge, a_key: MakeKey) -> None:
    """With RATE_LIMITED and the seconds to wait; even a right guess is not told from a wrong one meanwhile."""
    token, stranger = await a_key(), await a_key()
    assert await status_of(running, token) == 200
    statuses = [await status_of(running, mint_api_key().token) for _ in range(MOST + 1)]
    assert statuses == [401] * (MOST + 1)
    for guess in (mint_api_key().token, "nonsense", stranger):
        answer = await running.ask("{quick}", headers={"Authorization": f"Bearer {guess}"})
        assert answer.status_code == 429
        extensions = answer.json()["errors"][0]["extensions"]
        assert extensions["code"] == "RATE_LIMITED"
        assert 1 <= extensions["retryAfter"] == int(answer.headers["retry-after"])
    assert await status_of(running, token) == 200
    assert (await running.ask("{quick}")).status_code == 200


async def test_key_that_has_ended_is_no_guess(running: RunningEdge, a_key: MakeKey) -> None:
    """A program that was forgotten somewhere keeps nobody else out."""
    token = await a_key(expires_at=datetime.now(UTC))
    assert [await status_of(running, token) for _ in range(2 * MOST)] == [401] * 2 * MOST
    assert await status_of(running, await a_key()) == 200


async def test_guesses_over_a_socket_count_too(running: RunningEdge) -> None:
    """They end in 4403, and then in 1013: try again later."""
    codes = []
    for _ in range(MOST + 2):
        async with opened(running) as socket:
            await socket.say(type="connection_init", payload={"authorization": f"Bearer {mint_api_key().token}"})
            codes.append((await asyncio.wait_for(socket.end(), 5))[0])
    assert codes == [4403] * (MOST + 1) + [1013]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("a-socket-file", "a-socket-file"),
    ],
)
def test_address_is_what_one_customer_has(host: str, name: str) -> None:
    """Of IPv6 that is a whole network."""
    assert address_of(HTTPConnection({"type": "http", "client": (host, 1)})) == name


async def test_served_api_has_a_doorkeeper(rig: Rig) -> None:
    """As many wrong credentials as the setting says, and no more."""
    most = rig.container.settings.auth_failures
    async with open_api(rig.container) as api:
        answers = [
            (await send_to(api.app, "/graphql", token=f"Bearer {number}", content=b'{"query": "{__typename}"}'))[0]
            for number in range(most + 2)
        ]
    assert answers == [401] * (most + 1) + [429]
