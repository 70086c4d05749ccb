"""What watchers are told of a post is what they would be shown if they asked for it, whichever way it is told."""

import asyncio
from random import Random
from typing import Any

import orjson
import pytest
from graphql import build_schema, parse, print_ast
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from schema.build import print_schema_text
from services.domain.ids import Kind, encode_id
from services.domain.viewers import Viewer
from services.models import POSTS
from services.queries.states import settle_post
from tests.graphql_api import Api
from tests.schema.roads import World, ask_loaders, make_real, seed, without_more, write_set

SCHEMA = build_schema(print_schema_text())
DOCUMENTS = 100
ELSEWHERE = ("attempts", "author", "circuitBreaker", "posts", "rateLimit")
"""Fields whose values come with no event."""


@pytest.fixture
async def world(api: Api) -> World:
    """Posts in which every odd value occurs; all may change."""
    world = await seed(api, Random(7))  # noqa: S311 — made-up data
    async with api.services.database.begin() as c:
        await c.execute(update(POSTS).values(version=1))
    return world


@settings(
    max_examples=DOCUMENTS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(seed=st.integers(0, 2**32), is_plain=st.booleans())
async def test_told_is_what_would_be_shown(api: Api, world: World, seed: int, is_plain: bool) -> None:
    """At first and after a change, in data and errors: as finished JSON where the event holds all that is asked for."""
    random = Random(seed)  # noqa: S311 — made-up data
    viewer = world.viewers[0]
    row = random.choice([row for row in world.rows[POSTS] if row["user_id"] == viewer.user.id])
    post, fields = encode_id(Kind.POST, row["id"]), write_fields(world, random, is_plain=is_plain)
    async with api.context(viewer) as context:
        events = await api.schema.subscribe(
            f'subscription {{ shown: postChanged(id: "{post}") {fields} }}', context_value=context
        )
        for change in range(2):
            if change:
                async with api.services.database.begin() as c:
                    _, event = await settle_post(c, row["id"])
                message = {"kind": event.kind, "payload": event.payload}
                await api.services.events.publish(viewer.user.id, orjson.dumps(message, default=str))
            told = await asyncio.wait_for(anext(events), 10)
            is_finished = isinstance((told.data or {}).get("shown"), orjson.Fragment)
            assert is_finished == (not any(f": {name}" in fields for name in ELSEWHERE)), fields
            assert described(told) == await shown(api, f'{{ shown: post(id: "{post}") {fields} }}', viewer), fields
        await events.aclose()


def write_fields(world: World, random: Random, *, is_plain: bool) -> str:
    """What is asked of a post: plain, or with what comes from elsewhere."""
    while True:
        written = write_set(SCHEMA, SCHEMA.type_map["Post"], random, 3)
        if is_plain != any(f": {name}" in written for name in ELSEWHERE):
            break
    real = parse(make_real(f"{{ post {written} }}", world, random)).definitions[0]
    return print_ast(real.selection_set.selections[0].selection_set)  # type: ignore[attr-defined] # one query of one field


async def shown(api: Api, document: str, viewer: Viewer) -> dict[str, Any]:
    """The answer to a query, by the loaders."""
    async with api.context(viewer) as context:
        return without_more(described(await api.schema.execute(ask_loaders(document), context_value=context)))  # type: ignore[no-any-return]


def described(result: Any) -> dict[str, Any]:
    """An answer as a client has it, without the places in the document, which differ."""
    answer: dict[str, Any] = {"data": orjson.loads(orjson.dumps(result.data)), "errors": []}
    for error in result.errors or ():
        answer["errors"].append({name: value for name, value in error.formatted.items() if name != "locations"})
    return answer
