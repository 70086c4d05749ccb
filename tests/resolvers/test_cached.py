"""Caching per resolver."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from resolvers.cached import cached
from resolvers.context import Context
from services.backends.tags import raise_tags
from services.domain.accounts import Account
from services.domain.caching import CacheScope
from services.domain.pages import Page, PageRequest, Place
from services.domain.posts import Post
from tests.graphql_api import Api

MOMENTS = st.datetimes(timezones=st.just(UTC))
st.register_type_strategy(datetime, MOMENTS)


@dataclass(frozen=True)
class Answer:
    """Something to be cached."""

    count: int
    at: datetime
    key: UUID


class Counter:
    """Reads that count how often they are really made."""

    def __init__(self, scope: CacheScope = CacheScope.VIEWER) -> None:
        self.calls = 0
        self.answer = Answer(1, datetime(2026, 11, 23, tzinfo=UTC), uuid4())

        @cached(ttl=timedelta(minutes=5), tags=lambda owner, page: (f"things:{owner.hex}",), scope=scope)
        async def read(context: Context, owner: UUID, page: PageRequest) -> Answer:
            self.calls += 1
            await asyncio.sleep(0.01)
            return self.answer

        self.read = read


@pytest.fixture
def owner() -> UUID:
    """Whose things are read."""
    return uuid4()


async def test_answers_are_kept_until_their_tag_is_raised(api: Api, owner: UUID) -> None:
    """And come back as what they were."""
    counter, ada = Counter(), await api.add_person()
    async with api.context(ada) as context:
        for _ in range(2):
            assert await counter.read(context, owner, PageRequest()) == counter.answer
        assert counter.calls == 1
        pipeline = api.gate.client.pipeline()
        raise_tags(pipeline, [f"things:{owner.hex}"])
        await pipeline.execute()
        assert await counter.read(context, owner, PageRequest()) == counter.answer
        assert counter.calls == 2


async def test_answers_are_kept_apart_by_every_argument(api: Api, owner: UUID) -> None:
    """However small the difference."""
    counter, ada = Counter(), await api.add_person()
    place = Place(uuid4(), datetime(2026, 11, 23, tzinfo=UTC))
    pages = [
        PageRequest(),
        PageRequest(1),
        PageRequest(backward=True),
        PageRequest(after=place),
        PageRequest(before=place),
    ]
    async with api.context(ada) as context:
        for whose in (owner, uuid4()):
            for page in pages:
                await counter.read(context, whose, page)
    assert counter.calls == 2 * len(pages)


@pytest.mark.parametrize(("scope", "calls"), [(CacheScope.VIEWER, 2), (CacheScope.PUBLIC, 1)])
async def test_answers_are_shared_only_where_the_scope_says_so(
    api: Api, owner: UUID, scope: CacheScope, calls: int
) -> None:
    """The viewer is part of the key unless everybody may see the answer."""
    counter = Counter(scope)
    for viewer in (await api.add_person(), await api.add_person("Ben")):
        async with api.context(viewer) as context:
            await counter.read(context, owner, PageRequest())
    assert counter.calls == calls


async def test_many_who_ask_at_once_read_once(api: Api, owner: UUID) -> None:
    """Whoever comes first loads for all."""
    counter, ada = Counter(), await api.add_person()
    async with api.context(ada) as context:
        await asyncio.gather(*(counter.read(context, owner, PageRequest()) for _ in range(20)))
    assert counter.calls == 1


def pages_of(kind: type[object]) -> st.SearchStrategy[Page[Any]]:
    """Pages of anything of this class."""
    nodes = st.lists(st.from_type(kind), max_size=3).map(tuple)
    return st.builds(Page, nodes, st.lists(st.text()).map(tuple), st.booleans(), st.booleans())


@given(pages_of(Post))
def test_pages_of_posts_survive_the_cache(page: Page[Post]) -> None:
    """Whatever is in them, to the microsecond."""
    codec = TypeAdapter(Page[Post])
    assert codec.validate_json(codec.dump_json(page)) == page


@given(pages_of(Account))
def test_pages_of_accounts_survive_the_cache(page: Page[Account]) -> None:
    """The same for accounts."""
    codec = TypeAdapter(Page[Account])
    assert codec.validate_json(codec.dump_json(page)) == page


async def test_lists_are_answered_without_redis(api: Api) -> None:
    """Slower, but no different: the cache is never a reason for an error."""
    ada = await api.add_person()
    await api.schedule(ada, await api.add_account(ada))
    document = "{ posts { totalCount nodes { caption } } accounts { totalCount nodes { handle } } }"
    expected = await api.data(document, ada)
    await api.gate.close()
    assert await api.data(document, ada) == expected
