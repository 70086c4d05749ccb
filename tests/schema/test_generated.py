"""Documents made up from the schema itself: whatever is asked, nobody meets a mistake of ours."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from schema.build import print_schema_text
from services.domain.viewers import Role, Viewer
from tests.graphql_api import Api, account_id, in_hours

SDL = print_schema_text()
MOMENTS = st.sampled_from(
    ["2026-11-23T21:50:56Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "soon", in_hours(1)]
)
SCALARS: dict[str, Any] = {
    "DateTime": MOMENTS.map(nodes.String),
    "Url": st.sampled_from(["https://example.test/", "nonsense", "http://\x00/", ""]).map(nodes.String),
    "JSON": st.just(nodes.String("{}")),
}
# Documents shrink for minutes; the first that fails tells enough.
many = settings(
    max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
few = settings(many, max_examples=150)


@pytest.fixture
async def world(api: Api) -> tuple[Viewer, Viewer]:
    """A person with some posts, and an admin."""
    ada, root = await api.add_person(), await api.add_person("Root", role=Role.ADMIN)
    for viewer in (ada, root):
        account = await api.add_account(viewer)
        for hours in (1, 2, 3):
            await api.schedule(viewer, account, hours=hours, media=[{"kind": "IMAGE", "url": "https://example.test/"}])
    return ada, root


async def check(api: Api, document: str, viewer: Viewer) -> None:
    """Errors there may be, but none of ours."""
    answer = await api.run(document, viewer)
    assert [error for error in answer.get("errors", []) if error["extensions"]["code"] == "INTERNAL"] == []


@many
@given(document=queries(SDL, custom_scalars=SCALARS), is_admin=st.booleans())
async def test_any_query_is_answered(api: Api, world: tuple[Viewer, Viewer], document: str, is_admin: bool) -> None:
    """By a person as by an admin."""
    await check(api, document, world[is_admin])


@few
@given(document=mutations(SDL, custom_scalars=SCALARS), is_admin=st.booleans())
async def test_any_mutation_is_answered(api: Api, world: tuple[Viewer, Viewer], document: str, is_admin: bool) -> None:
    """By a person as by an admin."""
    await check(api, document, world[is_admin])


TEXTS = st.text(max_size=20) | st.sampled_from(["\x00", "a\x00b", "\u2028", "\U0001f600" * 10])


@few
@given(data=st.data())
async def test_any_text_can_be_written_or_is_refused_by_name(
    api: Api, world: tuple[Viewer, Viewer], data: st.DataObject
) -> None:
    """What PostgreSQL cannot store, the person is told of."""
    draw = lambda: data.draw(TEXTS)  # noqa: E731 — for brevity
    account = account_id(await api.add_account(world[0]))
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
    await api.data(document, world[0], i=given_input)
    document = "query ($s: String) { posts(filter: {search: $s}) { totalCount nodes { id } } }"
    answer = await api.run(document, world[0], s=draw())
    assert {error["extensions"]["code"] for error in answer.get("errors", [])} <= {"VALIDATION_FAILED"}
