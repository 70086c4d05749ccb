"""SIGTERM under load: every request that was taken is answered, every post goes out once, and sockets hear good-bye."""

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.shutdown import FORCED
from services.domain.ids import Kind, encode_id
from services.domain.posts import TargetStatus
from tests.children import as_child
from tests.end_to_end.local_run import ROOT, free_port
from tests.live import give_key
from tests.rig import KEY, Rig

pytestmark = pytest.mark.slow

REQUESTS, PEOPLE, POSTS_EACH = 200, 5, 10
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""One for all clients: each would load every certificate anew."""
ROUNDS = int(os.environ.get("SHUTDOWN_ROUNDS", "1"))


@asynccontextmanager
async def started(
    rig: Rig, command: str, *, port: int, database_url: str, redis_url: str, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """One process of a deployment, answering on its port."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEYS": KEY,
        "DATA_DIR": str(folder),
        "SANDBOX_PORT": str(httpx.URL(rig.sandbox.url).port),
        "WORKER_PORT" if command == "worker" else "PORT": str(port),
        "DB_POOL_MIN": "2",
        "WORKER_CONCURRENCY": "60",
        "API_BUDGET": "10000000",
    }
    with (folder / f"{command}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", command, cwd=ROOT, env=environment, stdout=log, stderr=log, **as_child()
        )
    try:
        await answering(port)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def answering(port: int) -> None:
    """Wait until somebody serves there."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(600):
            try:
                await client.get(f"http://127.0.0.1:{port}/api/v1/health")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    raise AssertionError("no answer")


async def ask(url: str, token: str) -> str:
    """What became of one request on a connection of its own: answered, refused (never taken), or broken."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=30) as client:
        try:
            body = {"query": "{ posts(first: 20) { nodes { id caption targets { status account { handle } } } } }"}
            response = await client.post(f"{url}/graphql", json=body, headers={"authorization": f"Bearer {token}"})
        except httpx.ConnectError:
            return "refused"
        except httpx.TransportError as error:
            return f"broken: {error!r}"
    return "answered" if "data" in response.json() else f"answered {response.status_code} {response.text[:200]}"


async def watch(url: str, token: str) -> int:
    """The code with which a running subscription's socket is closed."""
    address = url.replace("http", "ws", 1) + "/graphql"
    async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        await socket.recv()
        document = "subscription { postsChanged { id status } }"
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": document}}))
        try:
            while True:
                await asyncio.wait_for(socket.recv(), 30)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


async def publishing(rig: Rig) -> None:
    """Wait until all posts are on their way."""
    for _ in range(400):
        async with rig.container.backends.database.connect() as c:
            held = await c.exec_driver_sql("SELECT count(*) FROM post_targets WHERE status = 'PUBLISHING'")
            if held.scalar_one() == PEOPLE * POSTS_EACH:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("not all were claimed at once")


async def statuses(rig: Rig) -> set[str]:
    """Where the targets stand."""
    async with rig.container.backends.database.connect() as c:
        return set((await c.exec_driver_sql("SELECT DISTINCT status FROM post_targets")).scalars())


SLOW_COMMITS = (
    "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END'",
    "CREATE CONSTRAINT TRIGGER pause AFTER INSERT ON posts"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pause()",
)
SCHEDULE = "mutation ($input: SchedulePostInput!) { schedulePost(input: $input) { post { id } userErrors { code } } }"
WISHES = 30
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def schedule(url: str, token: str, account: str, number: int) -> str:
    """What a client hears of its wish for a post: its id, a code, or that the connection broke."""
    words = f"wish {number}"
    wish = {"caption": words, "accountIds": [account], "scheduledAt": TOMORROW, "idempotencyKey": words}
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=30) as client:
        try:
            body = {"query": SCHEDULE, "variables": {"input": wish}}
            response = await client.post(f"{url}/graphql", json=body, headers={"authorization": f"Bearer {token}"})
        except httpx.TransportError as error:
            return f"broken: {error!r}"
    answer = response.json()
    if "errors" in answer:
        return str(answer["errors"][0]["extensions"]["code"])
    assert answer["data"]["schedulePost"]["userErrors"] == []
    return str(answer["data"]["schedulePost"]["post"]["id"])


async def test_second_signal_ends_the_api_at_once_and_everybody_is_told(
    rig: Rig, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Wishes before, in and after their COMMIT hear what became of them, or UNAVAILABLE; asked for again with their
    keys, each comes about once."""
    ada = await rig.add_user()
    account = encode_id(Kind.ACCOUNT, (await rig.add_account(ada)).id)
    token = await give_key(rig.container.backends.database, ada)
    places = {"database_url": database_url, "redis_url": redis_url, "folder": tmp_path}
    loop = asyncio.get_running_loop()
    try:
        for statement in SLOW_COMMITS:
            await rig.write(text(statement))
        async with started(rig, "serve", port=(port := free_port()), **places) as api:
            url = f"http://127.0.0.1:{port}"
            first = await schedule(url, token, account, 0)
            wishes = [asyncio.create_task(schedule(url, token, account, n)) for n in range(1, WISHES)]
            await asyncio.sleep(0.5)
            api.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.25)
            api.send_signal(signal.SIGTERM)
            asked_at = loop.time()
            assert await asyncio.wait_for(api.wait(), 10) == FORCED
            assert loop.time() - asked_at < 4
            heard = [first, *await asyncio.gather(*wishes)]
        assert {one for one in heard if not one.startswith("post_")} == {"UNAVAILABLE"}
    finally:
        await rig.write(text("DROP FUNCTION IF EXISTS pause CASCADE"))

    async with started(rig, "serve", port=(port := free_port()), **places):
        url = f"http://127.0.0.1:{port}"
        again = [await schedule(url, token, account, number) for number in range(WISHES)]
    assert all(before in (after, "UNAVAILABLE") for before, after in zip(heard, again, strict=True))
    captions = await rig.rows(text("SELECT caption FROM posts"))
    assert sorted(row.caption for row in captions) == sorted(f"wish {number}" for number in range(WISHES))


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("is_hasty", [False, True], ids=["one signal", "two signals"])
async def test_sigterm_loses_no_request_and_no_post(  # noqa: PLR0917 - pytest names them
    rig: Rig, database_url: str, redis_url: str, tmp_path: Path, round_: int, is_hasty: bool
) -> None:
    """Requests in flight and posts publishing while the signal comes; a second signal ends the worker at once."""
    people = [await rig.add_user(f"P{n}") for n in range(PEOPLE)]
    tokens = [await give_key(rig.container.backends.database, viewer) for viewer in people]
    captions = [f"round {round_} {is_hasty} person {n} post {m}" for n in range(PEOPLE) for m in range(POSTS_EACH)]
    for n, viewer in enumerate(people):
        for m in range(POSTS_EACH):
            account = await rig.add_account(viewer)
            await rig.schedule_due(viewer, account, caption=captions[n * POSTS_EACH + m])
    rig.sandbox.arm("facebook.update", when="before", action="delay", seconds=1.5, times=1000)

    port, worker_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    places = {"database_url": database_url, "redis_url": redis_url, "folder": tmp_path}
    async with (
        started(rig, "serve", port=port, **places) as api,
        started(rig, "worker", port=worker_port, **places) as worker,
    ):
        sockets = [asyncio.create_task(watch(url, token)) for token in tokens]
        await publishing(rig)
        requests = [asyncio.create_task(ask(url, tokens[n % PEOPLE])) for n in range(REQUESTS)]
        await asyncio.sleep(0.15)
        api.send_signal(signal.SIGTERM)
        worker.send_signal(signal.SIGTERM)
        if is_hasty:
            await asyncio.sleep(0.3)
            worker.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(worker.wait(), 5) != 0

        ends = await asyncio.gather(*requests)
        assert {end for end in ends if end not in ("answered", "refused")} == set()
        assert "answered" in ends
        assert set(await asyncio.gather(*sockets)) == {1001}
        assert await asyncio.wait_for(api.wait(), 25) == 0
        assert is_hasty or await asyncio.wait_for(worker.wait(), 25) == 0

    rig.sandbox.http.delete("/control/faults")
    if is_hasty:
        await rig.rescue()
    async with asyncio.timeout(60):
        while await statuses(rig) != {TargetStatus.PUBLISHED}:
            await rig.hurry()
            await rig.publish()
    assert {caption: rig.sandbox.count(caption) for caption in captions} == dict.fromkeys(captions, 1)
