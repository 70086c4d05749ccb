"""A look at `/metrics` of a whole API in this process, and somebody who asks it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.api import open_api
from services.domain.credentials import mint_api_key
from services.domain.viewers import Scope, Viewer
from services.queries.users import insert_key
from tests.rig import Rig


class Scraped:
    """What one look at `/metrics` showed."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples = [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of all series with these labels; -1 where there is none."""
        found = [one.value for one in self._samples if one.name == name and labels.items() <= one.labels.items()]
        return sum(found) if found else -1.0

    def labels(self, name: str, label: str) -> set[str]:
        """All values of a label."""
        return {one.labels[label] for one in self._samples if one.name == name and label in one.labels}


@asynccontextmanager
async def serving(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    """The rig's whole API, in this process."""
    async with open_api(rig.container) as api:
        transport = httpx.ASGITransport(api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://crier.test", timeout=20) as http:
            yield http


async def scrape(http: httpx.AsyncClient) -> Scraped:
    """One look."""
    return Scraped((await http.get("/metrics")).raise_for_status().text)


async def a_token(rig: Rig, viewer: Viewer | None = None) -> str:
    """An API key of somebody's, or of somebody new."""
    key, owner = mint_api_key(), viewer or await rig.add_user()
    async with rig.container.backends.database.begin() as c:
        await insert_key(
            c, key_id=key.key_id, user_id=owner.user.id, name="k", secret_hash=key.secret_hash, scope=Scope.WRITE
        )
    return key.token


async def ask(http: httpx.AsyncClient, token: str | None, query: str, **more: Any) -> httpx.Response:
    """One operation over HTTP."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await http.post("/graphql", json={"query": query, **more}, headers=headers)
