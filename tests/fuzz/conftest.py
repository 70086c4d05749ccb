"""A live API before seeded data: two people, an operator, and whoever is only looked at."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from services.backends.database import Database
from services.domain.accounts import Platform
from services.domain.ids import Kind, encode_id
from services.domain.viewers import Scope, Viewer
from services.models import ACCOUNTS, POSTS, TARGETS
from tests.fuzz.documents import Ids
from tests.graphql_api import Api, open_api, user_id
from tests.live import LiveApi, give_key, live_api
from tests.schema.roads import World, seed


class Field:
    """Where it happens: Ada and Root ask, Ben and Eve are only looked at. No dataclass: Hypothesis would print it."""

    def __init__(self, *, api: LiveApi, database: Database, world: World, keys: dict[str, str]) -> None:
        self.api = api
        self.database = database
        self.world = world
        self.keys = keys
        """API keys of `person` and `operator`."""

    @property
    def bystanders(self) -> tuple[Viewer, ...]:
        """Who asks for nothing: Ben and Eve."""
        return self.world.viewers[1:3]

    async def ids_for(self, who: str) -> Ids:
        """What this one may name as of now."""
        ada, ben, _, root = self.world.viewers
        asker, other = (ada, root) if who == "person" else (root, ada)
        others = [*await _ids_of(self.database, ben), *(await _ids_of(self.database, other))[:10], "nonsense"]
        return Ids(world=self.world, own=await _ids_of(self.database, asker), others=others)


@pytest.fixture
async def field(
    database_url: str, redis_url: str, database: AsyncEngine, redis: Redis, tmp_path: Path
) -> AsyncIterator[Field]:
    """The process, started on seeded data; both are gone afterwards."""
    async with open_api(database_url=database_url, redis_url=redis_url) as api:
        world = await seed(api, Random(7))  # noqa: S311 - the same data each time
        ada, ben, _, root = world.viewers
        for viewer, number in ((ada, 60), (root, 60), (ben, 10)):
            await _fill(api, viewer, number)
        store = api.services.database
        await _settle(store)
        keys = {"person": await give_key(store, ada), "operator": await give_key(store, root, Scope.ADMIN)}
        budget = {"API_BUDGET": "1000000000"}  # of the viewer: what is tried here is not how much one may ask
        async with live_api(database_url=database_url, redis_url=redis_url, folder=tmp_path, **budget) as live:
            yield Field(api=live, database=store, world=world, keys=keys)


async def _fill(api: Api, viewer: Viewer, posts: int) -> None:
    """Posts to change, on accounts that work."""
    accounts = [await api.add_account(viewer, platform) for platform in Platform]
    image = {"kind": "IMAGE", "url": "https://example.test/a.jpg"}
    for number in range(posts):
        account = accounts[number % 2]
        await api.schedule(viewer, account, hours=number + 1, caption=f"Post {number}", media=[image])


async def _settle(database: Database) -> None:
    """Nothing of anybody's has failed: that operators may send again, which would be no harm done. And no post has
    been changed two thousand million times."""
    async with database.begin() as c:
        await c.execute(update(TARGETS).where(TARGETS.c.status == "FAILED").values(status="CANCELED"))
        await c.execute(update(POSTS).values(version=1))


async def _ids_of(database: Database, viewer: Viewer) -> list[str]:
    """Everything of somebody's that a mutation can name."""
    found = [user_id(viewer)]
    async with database.connect() as c:
        for table, kind in ((POSTS, Kind.POST), (TARGETS, Kind.TARGET), (ACCOUNTS, Kind.ACCOUNT)):
            rows = await c.execute(select(table.c.id).where(table.c.user_id == viewer.user.id))
            found += [encode_id(kind, key) for key in rows.scalars()]
    return found
