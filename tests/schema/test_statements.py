"""How many statements a document costs: as many as it has relations, however many rows there are."""

from uuid import UUID

import pytest

from services.domain.accounts import Platform
from services.domain.viewers import Viewer
from tests.graphql_api import Api

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
    "{ viewer { name } }": 0,
    "{ posts { nodes { id caption } } }": 1,
    "{ posts { totalCount } }": 1,
    "{ posts { totalCount nodes { id } edges { cursor node { caption } } pageInfo { hasNextPage } } }": 2,
    "{ a: posts { nodes { id } } b: posts { nodes { caption } } c: posts(first: 1) { nodes { id } } }": 2,
    "{ posts { nodes { id targets { id } media { id } author { id } } } }": 4,
    "{ posts { nodes { id targets { account { handle } } } } }": 3,
    "{ posts { nodes { id targets { account { author: id a: posts(first: 1) { nodes { id } } } } } } }": 4,
    "{ accounts { nodes { handle rateLimit { used } circuitBreaker { name } } } }": 2,
    "{ accounts { nodes { a: posts(first: 1) { nodes { id } } b: posts(last: 2) { nodes { id } totalCount } } } }": 4,
    WHOLE: 11,
}


async def fill(api: Api, owner: Viewer, posts: int) -> None:
    """So many posts, each to two accounts."""
    accounts = [await api.add_account(owner, platform) for platform in (Platform.FACEBOOK, Platform.FACEBOOK)]
    media = [{"kind": "IMAGE", "url": "https://example.test/a.jpg"}]
    for _ in range(posts):
        await api.schedule(owner, *accounts, media=media)


async def count(api: Api, viewer: Viewer, document: str) -> int:
    """The statements of one run without anything cached."""
    await api.forget_cache()
    before = len(api.statements)
    await api.data(document, viewer)
    return len(api.statements) - before


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_statements_do_not_grow_with_rows(api: Api, document: str) -> None:
    """One post or forty."""
    ada = await api.add_person()
    await fill(api, ada, 1)
    few = await count(api, ada, document)
    await fill(api, ada, 39)
    assert await count(api, ada, document) == few == DOCUMENTS[document]


async def test_cached_lists_cost_no_statement(api: Api) -> None:
    """Until something that they show changes."""
    ada = await api.add_person()
    await fill(api, ada, 3)
    document = "{ posts { totalCount nodes { id } } accounts { totalCount nodes { id status } } }"
    cold = await api.data(document, ada)
    before = len(api.statements)
    assert await api.data(document, ada) == cold
    assert len(api.statements) == before

    account = cold["accounts"]["nodes"][0]["id"]
    await api.schedule(ada, UUID(account.removeprefix("acct_")))
    disconnect = "mutation ($id: ID!) { disconnectAccount(input: {id: $id}) { userErrors { code } } }"
    await api.data(disconnect, ada, id=account)
    warm = await api.data(document, ada)
    assert warm["posts"]["totalCount"] == len(warm["posts"]["nodes"]) == 4
    assert [node["status"] for node in warm["accounts"]["nodes"]] == ["DISCONNECTED", "CONNECTED"]
