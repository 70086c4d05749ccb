"""The examples beside this file, each run against a live server as a developer would run it."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api import open_api
from app.npm import find_node
from tests.clients.packages import CLIENTS, install_packages
from tests.live import ROOT, give_key
from tests.rig import Rig
from tests.serving import served

PATIENCE_SECONDS = 60


@pytest.fixture(scope="session")
def node() -> str:
    """A node, with the examples' packages installed."""
    install_packages()
    return find_node().node


@dataclass(frozen=True)
class Place:
    """A live server, and a key to it."""

    url: str
    token: str

    async def run(self, *command: str, folder: Path = CLIENTS) -> Any:
        """What an example prints at its end."""
        told = await run(*command, folder=folder, CRIER_URL=self.url, CRIER_TOKEN=self.token)
        return json.loads(told.splitlines()[-1])


async def run(*command: str, folder: Path, **environment: str) -> str:
    """What a command that ends well prints."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        told, complaints = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{told.decode()}\n{complaints.decode()}"
    return told.decode()


@pytest.fixture
async def place(rig: Rig) -> AsyncIterator[Place]:
    """The whole API over real data: Ada, her account and three posts."""
    ada = await rig.add_user()
    account = await rig.add_account(ada)
    for number in (1, 2, 3):
        await rig.schedule(ada, account, caption=f"Post {number}", hours=number)
    async with open_api(rig.container) as api, served(api.app) as url:
        yield Place(url, await give_key(rig.container.backends.database, ada))


async def test_fetch_reads_changes_and_tells_failures_apart(place: Place, node: str) -> None:
    """All pages, one post for one key, what the person can mend as data and the rest as codes."""
    assert await place.run(node, "fetch.mjs") == {
        "isSame": True,
        "userErrors": [
            {
                "code": "SCHEDULED_IN_PAST",
                "message": "2001-01-01T06:00:00+00:00 is already over.",
                "field": "scheduledAt",
            },
        ],
        "failure": {"code": "FORBIDDEN", "retryable": False},
        "captions": ["Post 1", "Post 2", "Post 3", "Fresh bread at six."],
    }


async def test_urql_watches_a_post_through_graphql_ws(place: Place, node: str) -> None:
    """Query, mutation and subscription of one client."""
    assert await place.run(node, "urql.mjs") == {"seen": ["SCHEDULED", "CANCELED"]}


@pytest.mark.parametrize("client", ["graphql-ws", "graphql-sse"])
async def test_official_clients_see_what_is_to_come_then_each_change(place: Place, node: str, client: str) -> None:
    """Three posts that are still to come; then the first of them is called off."""
    told = await place.run(node, f"{client}.mjs")
    assert sorted(told["seen"]) == ["CANCELED", "SCHEDULED", "SCHEDULED", "SCHEDULED"]
    assert told["seen"][-1] == "CANCELED"


async def test_gql_watches_a_post_that_it_scheduled(place: Place) -> None:
    """It reads our schema first, and checks its documents by it."""
    told = await place.run(sys.executable, str(CLIENTS / "gql_client.py"))
    assert told == {"seen": ["SCHEDULED", "CANCELED"]}


async def test_types_generated_from_the_schema_compile(node: str, tmp_path: Path) -> None:
    """Strictly; and the compiler finds every mistake that calendar.ts expects it to."""
    for name in ("calendar.ts", "tsconfig.json"):
        shutil.copy(CLIENTS / "types" / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(CLIENTS / "node_modules")
    await run(node, str(CLIENTS / "types" / "codegen.mjs"), str(tmp_path), folder=tmp_path)

    await run(node, str(CLIENTS / "node_modules" / "typescript" / "bin" / "tsc"), "-p", ".", folder=tmp_path)


async def test_relay_compiles_on_the_schema_and_its_documents_run(place: Place, node: str, tmp_path: Path) -> None:
    """Connections, refetching by `node`, mutations that mend lists; every query it wrote is one that we answer."""
    folder = tmp_path / "tests" / "clients" / "relay"
    shutil.copytree(CLIENTS / "relay", folder, ignore=shutil.ignore_patterns("__generated__"))
    (tmp_path / "schema").symlink_to(ROOT / "schema")
    await run(node, str(CLIENTS / "node_modules" / "relay-compiler" / "cli.js"), folder=folder)

    written = {path.name.split(".")[0]: path.read_text() for path in (folder / "__generated__").iterdir()}
    texts = {
        name: json.loads(found[1])
        for name, code in written.items()
        if (found := re.search(r'"text": ("(?:[^"\\]|\\.)*")', code)) is not None
    }
    assert {"CalendarQuery", "CalendarPageQuery", "CalendarPostQuery", "CalendarTargetQuery"} <= texts.keys()

    headers = {"authorization": f"Bearer {place.token}"}
    async with httpx.AsyncClient(base_url=place.url, headers=headers, trust_env=False) as http:

        async def ask(name: str, **variables: Any) -> Any:
            answer = await http.post("/graphql", json={"query": texts[name], "variables": variables})
            assert "errors" not in answer.json(), answer.text
            return answer.json()["data"]

        edges = (await ask("CalendarQuery", statuses=["SCHEDULED"]))["posts"]["edges"]
        [more] = (await ask("CalendarPageQuery", first=1, after=edges[0]["cursor"]))["posts"]["edges"]
        assert (len(edges), more) == (3, edges[1])
        post = (await ask("CalendarPostQuery", id=more["node"]["id"]))["node"]
        assert post["caption"] == "Post 2"
        target = (await ask("CalendarTargetQuery", id=post["targets"][0]["id"]))["node"]
        assert target["attempts"]["edges"] == []
