"""The console's page and its questions, without a browser; what it does in one is in tests/end_to_end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from graphql import build_schema, parse, validate

from app.api import open_api
from app.assets import PAGES
from app.settings import Environment
from tests.rig import Rig

SNAPSHOT = Path(__file__).parent.parent.parent / "schema" / "schema.graphql"


@asynccontextmanager
async def serving(rig: Rig, environment: Environment) -> AsyncIterator[httpx.AsyncClient]:
    """The API as it is in an environment, with a demo's token at hand, as `make run` has it."""
    settings = rig.container.settings.model_copy(update={"environment": environment})
    container = replace(rig.container, settings=settings)
    async with open_api(container, demo_token="a demo token") as api:
        transport = httpx.ASGITransport(api.app, client=("127.0.0.1", 5))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers={"accept": "text/html"}
        ) as client:
            yield client


async def test_the_page_holds_no_key_and_lets_nothing_in(rig: Rig) -> None:
    """Not even for a browser on this machine, which GraphiQL trusts with the demo's: an admin's is worth more."""
    async with serving(rig, Environment.DEVELOPMENT) as client:
        page = await client.get("/admin")
        assert "a demo token" in (await client.get("/graphql")).text

    assert page.status_code == 200
    assert "a demo token" not in page.text
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert rig.sandbox.url.rsplit(":", 1)[1] in policy["img-src"]
    assert page.headers["cache-control"] == "no-store"


async def test_production_has_the_console_and_no_developers_pages(rig: Rig) -> None:
    """Operators need it there; the sandbox's pictures are no longer ours."""
    async with serving(rig, Environment.PRODUCTION) as client:
        statuses = {
            path: (await client.get(path)).status_code
            for path in ("/admin", "/api/v1/openapi.json", "/api/v1/docs", "/graphql")
        }
        policy = (await client.get("/admin")).headers["content-security-policy"]

    assert statuses == {"/admin": 200, "/api/v1/openapi.json": 200, "/api/v1/docs": 404, "/graphql": 406}
    assert rig.sandbox.url.rsplit(":", 1)[1] not in policy


def test_every_question_of_the_console_fits_the_schema() -> None:
    """What the page will ask can be asked; a change of the contract that it does not follow fails here."""
    schema = build_schema(SNAPSHOT.read_text())
    documents = sorted((PAGES / "console" / "queries").glob("*.graphql"))
    assert len(documents) >= 10
    assert {path.name: validate(schema, parse(path.read_text())) for path in documents} == {
        path.name: [] for path in documents
    }
