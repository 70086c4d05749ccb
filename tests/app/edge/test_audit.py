"""The working group's own audit of a live server, as graphql-http ships it."""

import asyncio
from pathlib import Path

import orjson
import pytest

from tests.app.edge.conftest import Edge
from tests.npm import install

LEAST_AUDITS = 60
"""So many there were; fewer would mean that something else was run."""

OUTDATED = {"47DE", "80D8"}
"""They ask for application/json where `Accept` is `*/*` or missing, which was right until 2025. Since then the
specification wants application/graphql-response+json where it is missing, and we treat `*/*` alike."""


async def test_every_audit_of_graphql_http_passes(edge: Edge, pytestconfig: pytest.Config) -> None:
    """All MUSTs and SHOULDs, and what a server MAY do besides, but for two that time has passed by."""
    node, work = install(Path(__file__).parent / "audit", pytestconfig.cache.mkdir("npm"))  # type: ignore[union-attr]  # there is one
    running = await edge()
    audit = await asyncio.create_subprocess_exec(
        node, work / "run.mjs", f"{running.origin}/graphql", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(audit.communicate(), 60)
    assert audit.returncode == 0
    audits = [orjson.loads(line) for line in said.splitlines()]
    assert len(audits) >= LEAST_AUDITS
    assert {found["id"] for found in audits if found["status"] != "ok"} <= OUTDATED, audits
