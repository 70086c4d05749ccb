"""API and worker behind a real PgBouncer: posts are scheduled, read and published as without it."""

import asyncio
import signal
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.domain.ids import Kind, encode_id
from tests.live import LiveApi, give_key, live_api
from tests.pgbouncer import pgbouncer_before
from tests.rig import KEY, Rig, now
from tests.worker_processes import END_SECONDS, log_of, worker_processes

pytestmark = pytest.mark.slow

SCHEDULE = "mutation ($input: SchedulePostInput!) { schedulePost(input: $input) { post { id } userErrors { code } } }"
PAGE = "{ posts(first: 50) { nodes { caption status targets { status account { handle } attempts { totalCount } } } } }"
POSTS = 10


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""One for all clients: each would load every certificate anew, and stop the network that this process plays."""


async def asked(api: LiveApi, token: str, query: str, **variables: Any) -> Any:
    """The data of one answer over HTTP; a busy machine is asked again, as clients do."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=30) as client, asyncio.timeout(60):
        while True:
            body = {"query": query, "variables": variables}
            response = await client.post(f"{api.url}/graphql", json=body, headers={"authorization": f"Bearer {token}"})
            answer = response.json()
            errors = answer.get("errors", [])
            if not errors:
                return answer["data"]
            assert {error["extensions"]["code"] for error in errors} <= {"OVERLOADED", "UNAVAILABLE"}, answer
            await asyncio.sleep(0.2)


async def test_posts_are_scheduled_read_and_published_through_pgbouncer(
    rig: Rig, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Mutations side by side, pages read and cached meanwhile and never stale, each post out once, the outbox empty."""
    ada = await rig.add_user()
    accounts = [await rig.add_account(ada) for _ in range(POSTS)]
    token = await give_key(rig.container.backends.database, ada)
    captions = [f"through a bouncer {number}" for number in range(POSTS)]

    async with pgbouncer_before(database_url) as bouncer:
        settings = {"DB_THROUGH_PGBOUNCER": "true", "DB_POOL_MAX": "10", "SECRET_KEYS": KEY, "API_BUDGET": "10000000"}
        places = {"database_url": bouncer.url, "redis_url": redis_url, "folder": tmp_path}
        sandbox = str(rig.container.settings.sandbox_port)
        async with live_api(**places, **settings, SANDBOX_PORT=sandbox) as api:
            with worker_processes(rig, 1, DATABASE_URL=bouncer.url, **settings) as [worker]:
                inputs = [
                    {
                        "caption": caption,
                        "accountIds": [encode_id(Kind.ACCOUNT, account.id)],
                        "idempotencyKey": caption,
                        "scheduledAt": (now() + timedelta(hours=1)).isoformat(),
                    }
                    for caption, account in zip(captions, accounts, strict=True)
                ]
                made = await asyncio.gather(*(asked(api, token, SCHEDULE, input=input_) for input_ in inputs))
                assert [one["schedulePost"]["userErrors"] for one in made] == [[]] * POSTS
                pages = await asyncio.gather(*(asked(api, token, PAGE) for _ in range(20)))
                assert {len(page["posts"]["nodes"]) for page in pages} == {POSTS}

                await rig.hurry()
                async with asyncio.timeout(60):
                    while {node["status"] for node in pages[0]["posts"]["nodes"]} != {"PUBLISHED"}:
                        await asyncio.sleep(0.1)
                        pages = await asyncio.gather(*(asked(api, token, PAGE) for _ in range(2)))
                worker.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(worker.wait, END_SECONDS) == 0, log_of(rig)
        assert list(api.complaints()) == []

    assert {caption: rig.sandbox.count(caption) for caption in captions} == dict.fromkeys(captions, 1)
    assert await rig.rows(text("SELECT * FROM outbox")) == []
