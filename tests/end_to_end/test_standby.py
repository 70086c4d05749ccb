"""Two API processes on what a large deployment has: a replica of the database for pages, a Redis under sentinels."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.backends.database import Database
from services.domain.ids import new_id
from services.domain.viewers import Role, Scope, User, Viewer
from services.queries.users import insert_user
from tests.conftest import migrate
from tests.faulty import OwnRedis, Pair, replicated_postgres
from tests.live import give_key, live_api
from tests.rig import now
from tests.services.backends.sentinels import guarded_redis

pytestmark = pytest.mark.slow

DRAFT = """mutation($caption: String!) {
    createDraft(input: {caption: $caption, accountIds: []}) { post { id } userErrors { code message } }
}"""
EDIT = """mutation($id: ID!, $caption: String!) {
    updatePost(input: {id: $id, caption: $caption}) { post { id } userErrors { code message } }
}"""
LIST = "{ posts(first: 100) { totalCount nodes { id caption } } }"
ONE = "query($id: ID!) { post(id: $id) { caption } }"


@dataclass(frozen=True)
class Deployment:
    """What tests ask and disturb."""

    urls: tuple[str, str]
    database: Database
    replica: Database

    async def person(self) -> "Person":
        """Somebody new."""
        user = User(new_id(), "Ada", Role.PERSON, now())
        async with self.database.begin() as c:
            await insert_user(c, user_id=user.id, name="Ada", role=Role.PERSON)
        key = await give_key(self.database, Viewer(user, Scope.WRITE, "key:test"))
        return Person(self.urls, {"authorization": f"Bearer {key}"})

    async def answered(self) -> Counter[str]:
        """Pages of both processes, by who answered them."""
        counts = Counter[str]()
        async with httpx.AsyncClient(trust_env=False) as http:
            for url in self.urls:
                shown = (await http.get(f"{url}/metrics")).text
                for by, count in re.findall(r'crier_reader_answers_total\{by="(\w+)"\} (\S+)', shown):
                    counts[by] += int(float(count))
        return counts


@dataclass(frozen=True)
class Person:
    """Asks now one process, now the other."""

    urls: tuple[str, str]
    headers: dict[str, str]

    async def ask(self, http: httpx.AsyncClient, query: str, *, at: int, **variables: Any) -> Any:
        """The data; nothing may have gone wrong."""
        body = {"query": query, "variables": variables}
        answer = (await http.post(f"{self.urls[at]}/graphql", json=body, headers=self.headers)).json()
        assert "errors" not in answer, answer
        return answer["data"]


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    """A migrated database, and the replica that follows it six tenths of a second late."""
    with replicated_postgres(late="600ms") as servers:
        migrate(servers.first.url)
        yield servers


@asynccontextmanager
async def deployed(servers: Pair, redis_url: str, folder: Path) -> AsyncIterator[Deployment]:
    """Both processes serve."""
    first, second = servers
    async with AsyncExitStack() as stack:
        shared = {"database_url": first.url, "redis_url": redis_url, "folder": folder, "API_BUDGET": "100000000"}
        serving = [live_api(**shared, DATABASE_READER_URL=second.url) for _ in range(2)]
        one, two = [await stack.enter_async_context(api) for api in serving]
        sides = [Database(url=server.url, pool_min=1, pool_max=2) for server in servers]
        for side in sides:
            stack.push_async_callback(side.close)
        yield Deployment((one.url, two.url), *sides)


@pytest.fixture
async def deployment(servers: Pair, tmp_path: Path) -> AsyncIterator[Deployment]:
    """On a Redis of its own."""
    redis = OwnRedis(tmp_path)
    redis.start()
    async with deployed(servers, redis.url, tmp_path) as deployment:
        yield deployment
    redis.kill()


async def test_everybody_reads_their_own_writes_at_once(deployment: Deployment) -> None:
    """Written at one process, read at the other: a list (also from the cache), its length, one post. The replica
    shows what was six tenths of a second ago. Who does not write reads there."""

    async def write_and_read(http: httpx.AsyncClient) -> None:
        ada, written = await deployment.person(), dict[str, str]()
        for turn in range(12):
            at = turn % 2
            caption = f"Number {turn}"
            if turn % 3 == 2:
                post = next(iter(written))
                edited = (await ada.ask(http, EDIT, at=at, id=post, caption=caption))["updatePost"]
                assert edited["userErrors"] == []
            else:
                made = (await ada.ask(http, DRAFT, at=at, caption=caption))["createDraft"]
                assert made["userErrors"] == []
                post = made["post"]["id"]
            written[post] = caption
            for _ in range(3):
                listed = (await ada.ask(http, LIST, at=1 - at))["posts"]
                assert {node["id"]: node["caption"] for node in listed["nodes"]} == written
                assert listed["totalCount"] == len(written)
            assert (await ada.ask(http, ONE, at=1 - at, id=post))["post"]["caption"] == caption
            await asyncio.sleep(0.1 * (turn % 5))

    async def read_only(http: httpx.AsyncClient) -> None:
        bob = await deployment.person()
        await asyncio.sleep(1)  # his key must have come over
        for turn in range(100):
            assert (await bob.ask(http, LIST, at=turn % 2))["posts"]["nodes"] == []
            await asyncio.sleep(0.05)

    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        await asyncio.gather(*(write_and_read(http) for _ in range(3)), read_only(http))
    answered = await deployment.answered()
    assert answered["reader"] > 0
    assert answered["written"] > 50


async def test_a_replica_that_stands_still_is_done_without(deployment: Deployment) -> None:
    """What others changed is seen a second later, whoever stands still; health says so and stays green enough."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        ada = await deployment.person()
        post = (await ada.ask(http, DRAFT, at=0, caption="Before"))["createDraft"]["post"]["id"]
        async with deployment.replica.connect() as c:
            await c.execute(text("SELECT pg_wal_replay_pause()"))
        try:
            await asyncio.sleep(4)  # nobody remembers that she wrote
            async with deployment.database.begin() as c:
                await c.execute(text("UPDATE posts SET caption = 'After'"))
            assert (await ada.ask(http, ONE, at=0, id=post))["post"]["caption"] == "After"
            told = (await http.get(f"{deployment.urls[0]}/api/v1/health/detailed")).json()
            assert {check["name"]: check["status"] for check in told["checks"]}["reader"] == "degraded"
            assert told["status"] == "degraded"
        finally:
            async with deployment.replica.connect() as c:
                await c.execute(text("SELECT pg_wal_replay_resume()"))


async def test_no_request_fails_while_redis_changes_hands(servers: Pair, tmp_path: Path) -> None:
    """People write and read at both processes while the master is killed and its replica takes over."""
    with guarded_redis(tmp_path) as guarded:
        async with (
            deployed(servers, guarded.url, tmp_path) as deployment,
            httpx.AsyncClient(trust_env=False, timeout=30) as http,
        ):
            stop = asyncio.Event()

            async def write_and_read() -> int:
                ada, written = await deployment.person(), set[str]()
                for turn in itertools.count():
                    if stop.is_set():
                        break
                    made = await ada.ask(http, DRAFT, at=turn % 2, caption=f"Number {turn}")
                    written.add(made["createDraft"]["post"]["id"])
                    listed = (await ada.ask(http, LIST, at=(turn + 1) % 2))["posts"]
                    assert {node["id"] for node in listed["nodes"]} == written
                    await asyncio.sleep(0.2)
                return len(written)

            async def change_hands() -> None:
                await asyncio.sleep(1)
                before = guarded.master()
                await asyncio.to_thread(before.kill)
                async with asyncio.timeout(20):
                    while await asyncio.to_thread(guarded.master) is before:
                        await asyncio.sleep(0.1)
                    for url in deployment.urls:
                        while "crier_redis_up 1.0" not in (await http.get(f"{url}/metrics")).text:
                            await asyncio.sleep(0.1)
                await asyncio.sleep(1)
                stop.set()

            *counts, _ = await asyncio.gather(write_and_read(), write_and_read(), change_hands())
            assert min(counts) > 5, counts
