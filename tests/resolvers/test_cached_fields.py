"""Every field that is cached, asked by two people and an operator: nobody is ever shown what was kept for another."""

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import resolvers
from resolvers.rendered import _CACHED
from services.domain.accounts import Platform
from services.domain.viewers import Role, Viewer
from tests.graphql_api import Api, user_id
from tests.schema.roads import LONG_NAME

POSTS, ACCOUNTS = {"Ada": 3, "Ben": 2}, {"Ada": 2, "Ben": 1}

FIELDS = {
    "posts": "posts(FIRST filter: {FILTER}) { nodes { caption author { name } } MORE }",
    "posts counted": "posts(filter: {FILTER}) { totalCount MORE }",
    "accounts": "accounts(FIRST filter: {FILTER}) { nodes { handle } MORE }",
    "accounts counted": "accounts(filter: {FILTER}) { totalCount MORE }",
    "posts of accounts": "accounts(FIRST filter: {FILTER}) { nodes { handle posts { nodes { caption } } } MORE }",
}


@dataclass(frozen=True)
class World:
    """Two people whose every text begins with their name, and an operator who has nothing."""

    people: dict[str, Viewer]
    operator: Viewer

    def __repr__(self) -> str:
        return "World(…)"


@pytest.fixture
async def world(api: Api) -> World:
    """The data, the same in every run."""
    people = {name: await api.add_person(name) for name in POSTS}
    for name, viewer in people.items():
        accounts = [await api.add_account(viewer, handle=f"{name} {n}") for n in range(ACCOUNTS[name])]
        for number in range(POSTS[name]):
            await api.schedule(viewer, accounts[0], caption=f"{name} {number}")
    return World(people, await api.add_person("Root", role=Role.ADMIN))


def written(field: str, *, road: str, first: int, owner: Viewer | None, platform: Platform | None) -> str:
    """A document for one field, by either road."""
    wanted = [f'userId: "{user_id(owner)}"'] if owner else []
    wanted += [f"platforms: [{platform}]"] if platform else []
    more = f"{LONG_NAME}: __typename" if road == "loaders" else ""
    parts = {"FIRST": f"first: {first},", "FILTER": ", ".join(wanted), "MORE": more}
    document = FIELDS[field]
    for name, part in parts.items():
        document = document.replace(name, part)
    return f"{{ {document} }}"


def texts(found: Any) -> set[str]:
    """Every caption, handle and name in an answer."""
    if isinstance(found, list):
        return set().union(*map(texts, found))
    if isinstance(found, dict):
        own = {found[key] for key in ("caption", "handle", "name") if key in found}
        return own.union(*map(texts, found.values()))
    return set()


QUESTIONS = st.lists(
    st.tuples(
        st.sampled_from(["Ada", "Ben"]),
        st.booleans(),
        st.sampled_from(list(FIELDS)),
        st.sampled_from(["rendered", "loaders"]),
        st.sampled_from([1, 20]),
        st.sampled_from([None, Platform.FACEBOOK]),
    ),
    min_size=2,
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(questions=QUESTIONS)
async def test_nobody_sees_what_was_kept_for_another(
    api: Api, world: World, questions: list[tuple[str, bool, str, str, int, Platform | None]]
) -> None:
    """Whatever is asked in whatever order, soon from the cache: all of the owner's, and nothing else."""
    for name, is_operator, field, road, first, platform in questions:
        owner = world.people[name]
        asker = world.operator if is_operator else owner
        named = owner if is_operator else None
        document = written(field, road=road, first=first, owner=named, platform=platform)

        await api.data(document, asker)  # seen once, a page is kept the next time
        answer = next(iter((await api.data(document, asker)).values()))

        sizes = POSTS if field.startswith("posts") and "accounts" not in field else ACCOUNTS
        if "counted" in field:
            assert answer["totalCount"] == sizes[name], document
            continue
        assert len(answer["nodes"]) == min(first, sizes[name]), document
        assert {text.split(" ")[0] for text in texts(answer)} == {name}, document


async def test_every_cached_field_is_among_them(api: Api, world: World) -> None:
    """A new one fails here until somebody asks for it above; each is hit when it is asked for often."""
    for field in FIELDS:
        for road in ("rendered", "loaders"):
            document = written(field, road=road, first=20, owner=None, platform=None)
            for _ in range(3):
                await api.data(document, world.people["Ada"])

    stats = await api.services.cache.stats()

    assert {one.resolver for one in stats.resolvers} == cached_reads()
    assert all(one.hits for one in stats.resolvers)


def cached_reads() -> set[str]:
    """The names of all reads that go through the cache, from the code."""
    modules = [
        importlib.import_module(f"resolvers.{module.name}") for module in pkgutil.iter_modules(resolvers.__path__)
    ]
    decorated = {
        name
        for module in modules
        for name, value in vars(module).items()
        if hasattr(value, "__wrapped__") and value.__module__ == module.__name__
    }
    return decorated | {f"render_{root.lower()}" for root in _CACHED}


async def test_posts_are_kept_for_minutes_and_accounts_as_long_as_the_cache_keeps_things(
    api: Api, world: World
) -> None:
    """By either road; accounts that show their posts are posts."""
    for field in FIELDS:
        for road in ("rendered", "loaders"):
            await api.forget_cache()
            for _ in range(2):
                await api.data(written(field, road=road, first=20, owner=None, platform=None), world.people["Ada"])
            keys = await api.gate.client.keys("crier:cache:*")
            lives = {await api.gate.client.ttl(key) for key in keys}
            is_long = field.startswith("accounts") or (field == "posts of accounts" and road == "loaders")
            assert keys and all((life > 1_800 if is_long else 0 < life <= 300) for life in lives), (field, road)
