"""Texts of any kind: stored as they are, or refused by name."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.domain.viewers import Viewer
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
