"""Texts of any kind: stored as they are, or refused by name."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    get_named_type,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    is_required_input_field,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.build import build_schema
from schema.texts import LONGEST
from services.domain.viewers import Role, Scope, Viewer
from tests.graphql_api import Api, account_id, in_hours

TEXTS = st.text(max_size=20) | st.sampled_from(["\x00", "a\x00b", "\u2028", "\U0001f600" * 10])


@pytest.fixture
async def ada(api: Api) -> Viewer:
    """A person."""
    return await api.add_person()


@pytest.fixture
async def account(api: Api, ada: Viewer) -> str:
    """An account of hers."""
    return account_id(await api.add_account(ada))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_any_text_can_be_written_or_is_refused_by_name(
    api: Api, ada: Viewer, account: str, data: st.DataObject
) -> None:
    """What PostgreSQL cannot store, the person is told of."""
    draw = lambda: data.draw(TEXTS)  # noqa: E731 — for brevity
    given_input = {
        "caption": draw(),
        "accountIds": [account],
        "scheduledAt": in_hours(1),
        "link": data.draw(st.none() | TEXTS),
        "idempotencyKey": data.draw(st.none() | TEXTS),
        "media": [{"kind": "IMAGE", "url": f"https://example.test/{draw()}", "altText": draw()}],
        "variants": [{"accountId": account, "caption": data.draw(st.none() | TEXTS)}],
    }
    document = "mutation ($i: SchedulePostInput!) { schedulePost(input: $i) { post { id } userErrors { field } } }"
    await api.data(document, ada, i=given_input)
    document = "query ($s: String) { posts(filter: {search: $s}) { totalCount nodes { id } } }"
    answer = await api.run(document, ada, s=draw())
    assert {error["extensions"]["code"] for error in answer.get("errors", [])} <= {"VALIDATION_FAILED"}


SCHEMA = build_schema()._schema
FREE_TEXTS = ("String", "Url")


def minimal(of: GraphQLInputType) -> Any:
    """The least that a type takes."""
    named = get_named_type(of)
    if is_list_type(get_nullable_type(of)):
        return []
    if isinstance(named, GraphQLInputObjectType):
        return {name: minimal(field.type) for name, field in named.fields.items() if is_required_input_field(field)}
    if isinstance(named, GraphQLEnumType):
        return next(iter(named.values))
    return {"DateTime": in_hours(1), "Int": 1, "Boolean": True}.get(named.name, "x")


def with_endless_text(of: GraphQLInputType, name: str = "") -> Iterator[tuple[list[str], Any]]:
    """The least that a type takes, but for one text that is a character too long, and where that stands."""
    named = get_named_type(of)
    is_list = is_list_type(get_nullable_type(of))
    if is_input_object_type(named):
        for field_name, field in named.fields.items():
            for path, value in with_endless_text(field.type, field_name):
                whole = minimal(named) | {field_name: value}
                yield (["0"] if is_list else []) + [field_name, *path], [whole] if is_list else whole
    elif named.name in FREE_TEXTS:
        text = "x" * (LONGEST[name] + 1)  # a KeyError here means: this field has no limit yet
        yield (["0"], [text]) if is_list else ([], text)


def fields_with_text(of: GraphQLInputObjectType, seen: set[str]) -> set[str]:
    """The names of all fields below an input in which people write what they like."""
    seen.add(of.name)
    found = {name for name, field in of.fields.items() if get_named_type(field.type).name in FREE_TEXTS}
    for field in of.fields.values():
        below = get_named_type(field.type)
        if isinstance(below, GraphQLInputObjectType) and below.name not in seen:
            found |= fields_with_text(below, seen)
    return found


def test_every_free_text_of_the_contract_has_a_limit() -> None:
    """A field that is new, too; what is no input object are cursors, names of breakers, which are looked up, and a
    key that is held below."""
    inputs = [type_ for type_ in SCHEMA.type_map.values() if isinstance(type_, GraphQLInputObjectType)]
    assert {name for type_ in inputs for name in fields_with_text(type_, set())} == set(LONGEST)
    arguments = {
        name
        for type_ in (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type)
        for field in type_.fields.values()  # type: ignore[union-attr]  # there are all three
        for name, argument in field.args.items()
        if get_named_type(argument.type).name in FREE_TEXTS
    }
    assert arguments == {"after", "before", "name", "idempotencyKey"}


async def test_text_that_is_too_long_is_refused_by_the_name_of_its_field(api: Api) -> None:
    """Each in each mutation, alone, however deep it lies; and in each filter."""
    root = await api.add_person("Root", role=Role.ADMIN, scope=Scope.ADMIN)
    assert SCHEMA.mutation_type is not None
    tried = 0
    for name, field in SCHEMA.mutation_type.fields.items():
        if "input" not in field.args:
            continue
        of = field.args["input"].type
        for path, value in with_endless_text(of):
            document = f"mutation ($i: {of}) {{ {name}(input: $i) {{ userErrors {{ code field message }} }} }}"
            (error,) = (await api.data(document, root, i=value))[name]["userErrors"]
            code = "CAPTION_TOO_LONG" if path[-1] == "caption" else "VALIDATION_FAILED"
            assert (error["code"], error["field"]) == (code, ".".join(path)), (name, path)
            assert "characters" in error["message"]
            tried += 1
    assert tried > 20
    retry = "mutation ($k: String!) { retryFailed(filter: {}, idempotencyKey: $k) { userErrors { code field } } }"
    (error,) = (await api.data(retry, root, k="x" * 256))["retryFailed"]["userErrors"]
    assert error == {"code": "VALIDATION_FAILED", "field": "idempotencyKey"}
    for list_ in ("posts", "users"):
        answer = await api.run(
            f"query ($s: String) {{ {list_}(filter: {{search: $s}}) {{ nodes {{ id }} }} }}", root, s="x" * 201
        )
        assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED", list_
        assert answer["errors"][0]["extensions"]["field"] == "search"
