"""The short road, the loaders and a naive answer, asked the same, over data with every odd value: documents made up
from the schema, and some that go deep."""

import os
from random import Random
from typing import Any

import pytest
from graphql import build_schema
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes, queries

from schema.build import print_schema_text
from services.backends.statements import tally_statements
from services.domain.viewers import Viewer
from tests.graphql_api import Api
from tests.schema.naive import Naive
from tests.schema.roads import World, ask_loaders, make_real, seed, without_more, write_deep

DOCUMENTS = int(os.environ.get("ROADS_DOCUMENTS", "200"))
"""How many documents each part of a test makes up; more by hand."""
parts = pytest.mark.parametrize("part", range(5))
"""For as many processes to share in."""

SDL = print_schema_text()
SCHEMA = build_schema(SDL)
FIELDS = ["posts", "post", "accounts", "account", "node", "nodes", "viewer"]
SCALARS: dict[str, Any] = {
    "DateTime": st.just(nodes.String("2027-03-01T12:00:00Z")),
    "Url": st.just(nodes.String("https://example.test/")),
    "JSON": st.just(nodes.String("{}")),
}
many = settings(
    max_examples=DOCUMENTS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.fixture
async def world(api: Api) -> World:
    """The data, the same in every run."""
    world = await seed(api, Random(7))  # noqa: S311 — made-up data
    world.naive = Naive(SCHEMA, world.rows, world.viewers)
    return world


@parts
@many
@given(document=queries(SDL, fields=FIELDS, custom_scalars=SCALARS), seed=st.integers(0, 2**32))
async def test_both_roads_agree_on_any_document(api: Api, world: World, part: int, document: str, seed: int) -> None:
    """Data and errors alike, whoever asks."""
    await compare(api, world, document, Random(seed))  # noqa: S311 — made-up data


@parts
@many
@given(seed=st.integers(0, 2**32))
async def test_both_roads_agree_on_deep_documents(api: Api, world: World, part: int, seed: int) -> None:
    """Pages below pages, in every order and direction, under many parents."""
    random = Random(seed)  # noqa: S311 — made-up data
    await compare(api, world, write_deep(SCHEMA, random), random)


async def compare(api: Api, world: World, document: str, random: Random) -> None:
    """Ask both roads, and the naive answer, which knows no errors. The short road takes one statement per root field,
    and one for what counts over time."""
    real = make_real(document, world, random)
    viewer = random.choice(world.viewers[:1] * 3 + world.viewers)
    by_loaders = await ask(api, ask_loaders(real), viewer)

    with tally_statements() as tally:
        answer = await ask(api, real, viewer)
    assert answer == without_more(by_loaders), real
    if "errors" not in answer:
        assert answer["data"] == world.naive.answer(real, viewer), real
        most = len(answer["data"]) * (2 if "rateLimit" in real else 1)
        assert tally.statements <= most, real


async def ask(api: Api, document: str, viewer: Viewer) -> dict[str, Any]:
    """An answer, without the places in the document, which differ."""
    answer = await api.run(document, viewer)
    for error in answer.get("errors", []):
        del error["locations"]
    return answer
