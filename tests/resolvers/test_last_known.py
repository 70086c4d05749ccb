"""Operators are answered while the database or Redis is away, and told of when the answer is."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from services.domain.viewers import Role, Viewer
from services.queries.queue import beat
from tests.faulty import OwnRedis, network_before_postgres, through
from tests.graphql_api import Api, open_api, user_id

LOOK = """
query ($user: ID!) {
  circuitBreakers { name state isStale }
  queue { scheduled asOf }
  workers { id asOf }
  rateLimits(userId: $user, platform: INSTAGRAM) { used asOf }
  cacheStats { isShared }
}
"""


@pytest.mark.usefixtures("redis")
async def test_operators_see_the_last_known_while_the_database_hangs(
    database: AsyncEngine, database_url: str, redis_url: str
) -> None:
    """What was true last comes within its patience, with its own time; what is true comes again afterwards."""
    async with (
        network_before_postgres(database_url) as network,
        open_api(database_url=through(database_url, network), redis_url=redis_url) as api,
    ):
        operator = await api.add_person("Op", role=Role.ADMIN)
        async with api.services.database.begin() as c:
            await beat(c, worker_id=operator.user.id, host="here", publishing=0)
        before = await api.data(LOOK, operator, user=user_id(operator))

        network.hang()
        meanwhile = await api.data(LOOK, operator, user=user_id(operator))
        network.heal()
        network.cut()
        after = await eventually_fresh(api, operator)

    assert meanwhile == before
    assert datetime.fromisoformat(after["queue"]["asOf"]) > datetime.fromisoformat(before["queue"]["asOf"])
    assert before["workers"][0]["asOf"] < after["workers"][0]["asOf"]
    assert before["rateLimits"][0]["asOf"] < after["rateLimits"][0]["asOf"]


async def eventually_fresh(api: Api, operator: Viewer) -> dict[str, Any]:
    """The first answer that is newer than the outage."""
    first = await api.data(LOOK, operator, user=user_id(operator))
    for _ in range(100):
        answer = await api.data(LOOK, operator, user=user_id(operator))
        if answer["queue"]["asOf"] != first["queue"]["asOf"]:
            return answer
    raise AssertionError("never fresh again")


async def test_breakers_and_cache_say_when_they_speak_for_one_process_alone(
    database: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    """Redis killed: both answer from memory, and say so."""
    own = OwnRedis(tmp_path)
    own.start()
    try:
        async with open_api(database_url=database_url, redis_url=own.url) as api:
            operator = await api.add_person("Op", role=Role.ADMIN)
            before = await api.data(LOOK, operator, user=user_id(operator))
            own.kill()
            meanwhile = await api.data(LOOK, operator, user=user_id(operator))
    finally:
        own.kill()
    assert [breaker["isStale"] for breaker in before["circuitBreakers"]] == [False] * 3
    assert before["cacheStats"] == {"isShared": True}
    assert [breaker["isStale"] for breaker in meanwhile["circuitBreakers"]] == [True] * 3
    assert [breaker["state"] for breaker in meanwhile["circuitBreakers"]] == ["CLOSED"] * 3
    assert meanwhile["cacheStats"] == {"isShared": False}


async def test_what_was_never_read_cannot_be_known(database_url: str, redis: Redis, redis_url: str) -> None:
    """The first question during an outage gets its code; the others of the document are answered all the same."""
    async with (
        network_before_postgres(database_url) as network,
        open_api(database_url=through(database_url, network), redis_url=redis_url) as api,
    ):
        operator = await api.add_person("Op", role=Role.ADMIN)
        network.hang()
        answer = await api.run("{ circuitBreakers { name } queue { due } }", operator)
        network.heal()
    assert answer["data"]["queue"] is None
    assert len(answer["data"]["circuitBreakers"]) == 3
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["TIMEOUT"]
