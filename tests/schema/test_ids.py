"""Ids: every kind is found by `node`, and what is not the viewer's looks like nothing."""

from uuid import UUID

import pytest
from sqlalchemy import select

from services.backends.statements import tally_statements
from services.domain.ids import Kind, encode_id
from services.domain.viewers import Role, Viewer
from services.models import MEDIA, TARGETS
from tests.graphql_api import Api, account_id, user_id

NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"


async def one_of_each(api: Api, owner: Viewer) -> dict[str, str]:
    """An id of each kind of node, by type name, all of one person."""
    account = await api.add_account(owner)
    media = [{"kind": "IMAGE", "url": "https://example.test/a.jpg"}]
    post = await api.schedule(owner, account, media=media)
    async with api.services.database.connect() as c:
        target_key: UUID = (
            await c.execute(select(TARGETS.c.id).where(TARGETS.c.user_id == owner.user.id))
        ).scalar_one()
        post_key = UUID(post.removeprefix("post_"))
        media_key: UUID = (await c.execute(select(MEDIA.c.id).where(MEDIA.c.post_id == post_key))).scalar_one()
    attempt = await api.add_attempt(target_key)
    return {
        "User": user_id(owner),
        "Account": account_id(account),
        "Post": post,
        "PostTarget": encode_id(Kind.TARGET, target_key),
        "Media": encode_id(Kind.MEDIA, media_key),
        "Attempt": encode_id(Kind.ATTEMPT, attempt),
    }


async def test_node_finds_every_kind(api: Api) -> None:
    """Its owner's and, for operators, everybody's; the type is the one that the id says."""
    ada, root = await api.add_person(), await api.add_person("Root", role=Role.ADMIN)
    ids = await one_of_each(api, ada)
    for viewer in (ada, root):
        for kind, text in ids.items():
            assert await api.data(NODE, viewer, id=text) == {"node": {"__typename": kind, "id": text}}


async def test_node_hides_what_is_somebody_elses(api: Api) -> None:
    """It looks like what does not exist."""
    ada, ben = await api.add_person(), await api.add_person("Ben")
    ids = list((await one_of_each(api, ada)).values())
    assert await api.data(NODES, ben, ids=ids) == {"nodes": [None] * len(ids)}
    assert await api.data("query ($id: ID!) { post(id: $id) { id } }", ben, id=ids[2]) == {"post": None}
    assert await api.data("query ($id: ID!) { account(id: $id) { id } }", ben, id=ids[1]) == {"account": None}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "post_",
        "post_zz",
        "nonsense",
        "post_" + "0" * 32,
        "POST_" + "0" * 32,
        "upl_" + "0" * 32,
        "0" * 32,
        "post_" + "0" * 31 + "\n",
        "é",
    ],
)
async def test_ids_that_name_nothing_answer_null(api: Api, text: str) -> None:
    """However malformed they are: no error."""
    ada = await api.add_person()
    asked = "node(id: $id) { id } post(id: $id) { id } account(id: $id) { id } nodes(ids: [$id]) { id }"
    document = f"query ($id: ID!) {{ {asked} }}"
    assert await api.data(document, ada, id=text) == {"node": None, "post": None, "account": None, "nodes": [None]}


async def test_ids_of_one_kind_do_not_find_another(api: Api) -> None:
    """The prefix counts: an account under a post's id is no post."""
    ada = await api.add_person()
    account = await api.add_account(ada)
    assert await api.data(NODE, ada, id=f"post_{account.hex}") == {"node": None}
    post = await api.schedule(ada, account)
    document = "query ($id: ID!) { post(id: $id) { id } }"
    assert await api.data(document, ada, id=post.replace("post_", "acct_")) == {"post": None}


async def test_nodes_keep_order_and_repetition_and_are_read_at_once(api: Api) -> None:
    """Null stands where nothing was found."""
    ada = await api.add_person()
    account = await api.add_account(ada)
    posts = [await api.schedule(ada, account) for _ in range(3)]
    wanted = [posts[2], account_id(account), "nonsense", posts[0], posts[2], posts[1]]
    with tally_statements() as tally:
        found = (await api.data(NODES, ada, ids=wanted))["nodes"]
    assert [node and node["id"] for node in found] == [None if text == "nonsense" else text for text in wanted]
    assert tally.statements == 1


async def test_nodes_are_a_hundred_at_most(api: Api) -> None:
    """More is refused, and says why."""
    ada = await api.add_person()
    assert len((await api.data(NODES, ada, ids=["x"] * 100))["nodes"]) == 100
    answer = await api.run(NODES, ada, ids=["x"] * 101)
    assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"
    assert answer["errors"][0]["extensions"]["field"] == "ids"
