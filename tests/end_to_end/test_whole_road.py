"""The whole road: one command, a post scheduled through GraphQL, and people see it."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.end_to_end.local_run import ROOT, LocalRun, servers_in, wait_until

pytestmark = pytest.mark.slow

SCHEDULE = """
mutation ($input: SchedulePostInput!) {
  schedulePost(input: $input) { post { id status } userErrors { code field message } }
}
"""
WATCH = "subscription { postsChanged { id version status targets { id status permalink account { platform } } } }"


@contextmanager
def subscribed(url: str, token: str, document: str) -> Iterator[ClientConnection]:
    """A graphql-transport-ws subscription, acknowledged and running."""
    address = url.replace("http", "ws", 1) + "/graphql"
    with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        assert json.loads(socket.recv(10))["type"] == "connection_ack"
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": document}}))
        yield socket


def changes_of(socket: ClientConnection, post_id: str, *, until: str) -> list[dict[str, Any]]:
    """What the subscription tells of one post, until it has reached a status."""
    told: list[dict[str, Any]] = []
    while not told or told[-1]["status"] != until:
        message = json.loads(socket.recv(30))
        assert message["type"] == "next", message
        state = message["payload"]["data"]["postsChanged"]
        if state["id"] == post_id:
            told.append(state)
    return told


def test_a_scheduled_post_goes_out_on_every_platform_and_is_told(start_run: Callable[..., LocalRun]) -> None:
    """Three accounts, three seconds ahead: SCHEDULED, PUBLISHING, PUBLISHED for each, and permalinks that open."""
    run = start_run()
    accounts = run.ask("{ accounts { nodes { id platform } } }")["data"]["accounts"]["nodes"]
    assert {account["platform"] for account in accounts} == {"INSTAGRAM", "FACEBOOK", "YOUTUBE"}

    with subscribed(run.url, run.token(), WATCH) as socket:
        answer = run.ask(
            SCHEDULE,
            {
                "input": {
                    "caption": "A bread for three houses",
                    "accountIds": [account["id"] for account in accounts],
                    "scheduledAt": (datetime.now(UTC) + timedelta(seconds=3)).isoformat(),
                    "media": [{"kind": "VIDEO", "url": f"{run.sandbox_url}/samples/clip.mp4"}],
                }
            },
        )
        assert answer["data"]["schedulePost"]["userErrors"] == []
        post = answer["data"]["schedulePost"]["post"]
        told = changes_of(socket, post["id"], until="PUBLISHED")

    versions = [state["version"] for state in told]
    assert versions == sorted(set(versions))
    for place in range(3):
        steps = [state["targets"][place]["status"] for state in told]
        assert list(dict.fromkeys(steps)) == ["SCHEDULED", "PUBLISHING", "PUBLISHED"], told[0]["targets"][place]
    for target in told[-1]["targets"]:
        page = httpx.get(target["permalink"], trust_env=False, follow_redirects=True)
        assert page.status_code == 200
        assert "A bread for three houses" in page.text
    counted = httpx.get(
        f"{run.sandbox_url}/control/publications/count",
        params={"caption": "A bread for three houses"},
        trust_env=False,
    )
    assert counted.json()["count"] == 3


def test_tokens_are_private_and_data_outlives_the_process(start_run: Callable[..., LocalRun]) -> None:
    """Mode 0600; the next start finds all posts, and makes the demo no second time."""
    run = start_run()
    for name in ("demo-token", "admin-token"):
        assert stat.S_IMODE((run.folder / name).stat().st_mode) == 0o600
    document = "{ posts { totalCount } accounts { totalCount } viewer { name role } }"
    before, token = run.ask(document), run.token()
    assert before["data"]["viewer"] == {"name": "Demo Person", "role": "PERSON"}
    assert run.stop() == 0

    again = start_run()
    assert again.ask(document, token=token) == before | {"extensions": again.ask(document, token=token)["extensions"]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_the_process(start_run: Callable[..., LocalRun], number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM or kill -9."""
    run = start_run()
    family = run.family()
    assert run.family_names() >= {"postgres", "redis-server"}
    code = run.stop(number)
    assert code == (-9 if number is signal.SIGKILL else 0)
    wait_until(lambda: not any(process.is_running() for process in family), "a child lives on", seconds=10)
    assert servers_in(run.folder) == []


def test_a_taken_port_is_one_clear_line(start_run: Callable[..., LocalRun]) -> None:
    """No traceback; the message names the setting that helps, and what runs is not disturbed."""
    run = start_run()
    port = run.url.rsplit(":", 1)[1]
    environment = {"PATH": os.environ["PATH"], "PORT": port, "DATA_DIR": str(run.folder)}
    command = [sys.executable, "-m", "app", "run"]
    again = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 2
    assert f"127.0.0.1:{port}" in again.stderr
    assert "PORT" in again.stderr
    assert "Traceback" not in again.stderr
    assert run.ask("{ viewer { name } }")["data"]["viewer"]["name"] == "Demo Person"
