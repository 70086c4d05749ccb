"""How many statements a document costs: one per root field, however many rows and relations there are.

By the loaders it costs as many as it has relations.
"""

from uuid import UUID

import pytest
from sqlalchemy import text

from services.backends.statements import tally_statements
from services.domain.accounts import Platform
from services.domain.viewers import Viewer
from tests.graphql_api import Api, account_id
from tests.schema.roads import ask_loaders, without_more

WHOLE = """
{
  posts(first: 100) {
    totalCount
    nodes {
      id author { name } media { url }
      targets {
        id
        attempts { totalCount nodes { step } }
        account {
          handle rateLimit { remaining } circuitBreaker { state }
          posts(first: 2) { totalCount nodes { id author { name } } }
        }
      }
    }
  }
}
"""

DOCUMENTS = {
    "{ viewer { name } }": (0, 0),
    "{ posts { nodes { id caption } } }": (1, 1),
    "{ posts { totalCount } }": (1, 1),
    "{ posts { totalCount nodes { id } edges { cursor node { caption } } pageInfo { hasNextPage } } }": (1, 2),
    "{ a: posts { nodes { id } } b: posts { nodes { caption } } c: posts(first: 1) { nodes { id } } }": (3, 2),
    "{ posts { nodes { id targets { id } media { id } author { id } } } }": (1, 4),
    "{ posts { nodes { id targets { account { handle } } } } }": (1, 3),
    "{ posts { nodes { id targets { account { author: id a: posts(first: 1) { nodes { id } } } } } } }": (1, 4),
    "{ accounts { nodes { handle circuitBreaker { name } } } }": (1, 1),
    "{ accounts { nodes { handle rateLimit { used } circuitBreaker { name } } } }": (2, 2),
    "{ accounts { nodes { a: posts(first: 1) { nodes { id } } b: posts(last: 2) { nodes { id } totalCount } } } }": (
        1,
        4,
    ),
    WHOLE: (2, 11),
}
"""Rendered, what counts over time besides; and by the loaders."""


async def fill(api: Api, owner: Viewer, posts: int) -> None:
    """So many posts, each to two accounts."""
    accounts = [await api.add_account(owner, platform) for platform in (Platform.FACEBOOK, Platform.FACEBOOK)]
    media = [{"kind": "IMAGE", "url": "https://example.test/a.jpg"}]
    for _ in range(posts):
        await api.schedule(owner, *accounts, media=media)


async def count(api: Api, viewer: Viewer, document: str) -> int:
    """The statements of one run without anything cached."""
    await api.forget_cache()
    with tally_statements() as tally:
        await api.data(document, viewer)
    return tally.statements


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_statements_do_not_grow_with_rows(api: Api, document: str) -> None:
    """One post or forty, by either road."""
    ada = await api.add_person()
    await fill(api, ada, 1)
    few = await count(api, ada, document), await count(api, ada, ask_loaders(document))
    await fill(api, ada, 39)
    assert (await count(api, ada, document), await count(api, ada, ask_loaders(document))) == few == DOCUMENTS[document]


@pytest.mark.parametrize("road", [str, ask_loaders])
async def test_cached_lists_cost_no_statement(api: Api, road: type[str]) -> None:
    """Until something that they show changes."""
    ada = await api.add_person()
    await fill(api, ada, 3)
    document = road("{ posts { totalCount nodes { id } } accounts { totalCount nodes { id status } } }")
    cold, again = [await api.data(document, ada) for _ in range(2)]  # what is asked for twice is kept
    with tally_statements() as tally:
        assert await api.data(document, ada) == again == cold
    assert tally.statements == 0

    account = cold["accounts"]["nodes"][0]["id"]
    await api.schedule(ada, UUID(account.removeprefix("acct_")))
    disconnect = "mutation ($id: ID!) { disconnectAccount(input: {id: $id}) { userErrors { code } } }"
    await api.data(disconnect, ada, id=account)
    warm = await api.data(document, ada)
    assert warm["posts"]["totalCount"] == len(warm["posts"]["nodes"]) == 4
    assert [node["status"] for node in warm["accounts"]["nodes"]] == ["DISCONNECTED", "CONNECTED"]


async def test_more_accounts_than_are_read_ahead_are_shown_alike(api: Api) -> None:
    """A page's accounts are looked for among a few that are read once; the others are found one by one."""
    ada = await api.add_person()
    accounts = [await api.add_account(ada) for _ in range(23)]
    for account in accounts:
        await api.schedule(ada, account)

    document = "{ posts(first: 100) { nodes { targets { account { id handle circuitBreaker { name } } } } } }"
    answer = await api.data(document, ada)

    shown = {node["targets"][0]["account"]["id"] for node in answer["posts"]["nodes"]}
    assert shown == {account_id(account) for account in accounts}
    assert answer == without_more(await api.data(ask_loaders(document), ada))


PAGES = (
    "{ posts(first: %d) { nodes { id targets { account { handle } } } pageInfo { hasNextPage } } }",
    '{ posts(last: %d, filter: {statuses: [SCHEDULED], scheduledFrom: "2027-03-01T12:00:00Z"}) { nodes { id } } }',
    '{ accounts(first: %d) { nodes { posts(first: 1, filter: {scheduledFrom: "2027-03-01T12:00:00Z"}) '
    "{ nodes { id } totalCount } } } }",
)

MANY_POSTS = (
    "INSERT INTO posts (id, user_id, caption, status, scheduled_at) SELECT gen_random_uuid(), u.id, 'Bread', "
    "'SCHEDULED', timestamptz '2030-01-01' + n * interval '1 hour' FROM users u, generate_series(1, 500) n",
    "INSERT INTO post_targets (id, post_id, account_id, user_id, platform, position, calendar_at, status) SELECT "
    "gen_random_uuid(), p.id, a.id, a.user_id, a.platform, 0, p.calendar_at, p.status FROM posts p, accounts a",
    "ANALYZE",
)
PLANS = """
SELECT custom_plans, generic_plans FROM pg_prepared_statements
WHERE statement LIKE '%textsend(%' AND statement NOT LIKE '%pg_prepared_statements%'
"""


@pytest.mark.parametrize("document", PAGES)
async def test_pages_are_planned_once_and_not_for_every_request(api: Api, document: str) -> None:
    """PostgreSQL tries five plans that know the values, and then stays with one for all, however short the page is."""
    ada = await api.add_person()
    await api.add_account(ada)
    async with api.services.database.begin() as c:
        for statement in MANY_POSTS:
            await c.execute(text(statement))

    for size in range(1, 12):
        await api.data(document % size, ada)

    async with api.services.database.connect() as c:
        assert [tuple(row) for row in await c.execute(text(PLANS))] == [(5, 6)]
