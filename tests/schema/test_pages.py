"""Connections: pages both ways, at the root and below many parents, against slices of a plain list."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from services.domain.ids import Kind, encode_id, new_id
from services.domain.viewers import Viewer
from services.models import POSTS, TARGETS
from tests.graphql_api import Api, account_id

PAGE = "pageInfo { hasNextPage hasPreviousPage } totalCount nodes { id } edges { node { id } }"
ARGUMENTS = "$first: Int, $after: String, $last: Int, $before: String"
GIVEN = "first: $first, after: $after, last: $last, before: $before"
ORDERS = ("SCHEDULED_AT_ASC", "SCHEDULED_AT_DESC", "CREATED_AT_ASC", "CREATED_AT_DESC")
START = datetime(2030, 1, 1, tzinfo=UTC)

soon = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Written:
    """A post as the oracle knows it."""

    id: str
    scheduled_at: datetime | None
    created_at: datetime
    accounts: tuple[int, ...]

    def place(self, order: str) -> tuple[datetime, str]:
        """Where it stands in an order, ascending."""
        at = self.scheduled_at if order.startswith("SCHEDULED") else self.created_at
        return at or datetime.max.replace(tzinfo=UTC), self.id


@dataclass(frozen=True)
class Calendar:
    """One person's posts and accounts."""

    owner: Viewer
    accounts: tuple[UUID, ...]
    posts: tuple[Written, ...]

    def ids(self, order: str, account: int | None = None) -> list[str]:
        """The list's ids in its order."""
        listed = [post for post in self.posts if account is None or account in post.accounts]
        listed.sort(key=lambda post: post.place(order), reverse=order.endswith("DESC"))
        return [post.id for post in listed]


@pytest.fixture
async def calendar(api: Api) -> Calendar:
    """Thirty posts for three accounts, many at the same moment, some at none; the third account has no posts."""
    somebody_else = await api.add_person("Ben")
    await api.schedule(somebody_else, await api.add_account(somebody_else))
    owner = await api.add_person()
    accounts = tuple([await api.add_account(owner) for _ in range(3)])
    posts = tuple(written_posts())
    async with api.services.database.begin() as c:
        await c.execute(insert(POSTS), [post_row(owner, post) for post in posts])
        await c.execute(insert(TARGETS), [row for post in posts for row in target_rows(owner, accounts, post)])
    return Calendar(owner, accounts, posts)


def written_posts() -> Iterator[Written]:
    """The posts, with ids in no order of time."""
    ids = sorted((new_id() for _ in range(30)), key=lambda key: key.bytes[::-1])
    for index, key in enumerate(ids):
        scheduled_at = None if index % 7 == 0 else START + timedelta(hours=index // 4)
        created_at = START + timedelta(microseconds=index // 3)
        accounts = tuple(account for account in (0, 1) if index % 2 == account or index % 5 == 0)
        yield Written(encode_id(Kind.POST, key), scheduled_at, created_at, accounts)


def post_row(owner: Viewer, post: Written) -> dict[str, Any]:
    """A row of `posts`."""
    return {
        "id": UUID(post.id.removeprefix("post_")),
        "user_id": owner.user.id,
        "caption": "Hello",
        "status": "DRAFT" if post.scheduled_at is None else "SCHEDULED",
        "scheduled_at": post.scheduled_at,
        "created_at": post.created_at,
    }


def target_rows(owner: Viewer, accounts: tuple[UUID, ...], post: Written) -> Iterator[dict[str, Any]]:
    """Rows of `post_targets`."""
    for position, account in enumerate(post.accounts):
        yield {
            "id": new_id(),
            "post_id": UUID(post.id.removeprefix("post_")),
            "account_id": accounts[account],
            "user_id": owner.user.id,
            "platform": "FACEBOOK",
            "position": position,
            "calendar_at": post.scheduled_at or datetime(9999, 12, 31, tzinfo=UTC),
            "status": "DRAFT" if post.scheduled_at is None else "SCHEDULED",
        }


def expected(own: list[str], listed: list[str], asked: "Asked") -> dict[str, Any]:
    """A page of `own`, by the connection specification; cursors are places in `listed`, which `own` is part of."""
    low = -1 if asked.after is None else asked.after
    high = len(listed) if asked.before is None else asked.before
    stretch = [post for post in own if low < listed.index(post) < high]
    size = 20 if asked.size is None else asked.size
    backward = asked.backward and asked.size is not None
    page = stretch[max(0, len(stretch) - size) :] if backward else stretch[:size]
    return {
        "pageInfo": {
            "hasNextPage": asked.before is not None if backward else len(stretch) > size,
            "hasPreviousPage": len(stretch) > size if backward else asked.after is not None,
        },
        "totalCount": len(own),
        "nodes": [{"id": post} for post in page],
        "edges": [{"node": {"id": post}} for post in page],
    }


@dataclass(frozen=True)
class Asked:
    """The four arguments, with places in the list for cursors."""

    size: int | None
    backward: bool
    after: int | None
    before: int | None

    def variables(self, cursors: list[str]) -> dict[str, Any]:
        """As a client writes them."""
        return {
            "last" if self.backward else "first": self.size,
            "after": None if self.after is None else cursors[self.after],
            "before": None if self.before is None else cursors[self.before],
        }


places = st.none() | st.integers(0, 29)
pages_asked = st.builds(Asked, size=st.none() | st.integers(0, 12), backward=st.booleans(), after=places, before=places)


@soon
@given(order=st.sampled_from(ORDERS), asked=pages_asked)
async def test_pages_are_slices_of_the_list(api: Api, calendar: Calendar, order: str, asked: Asked) -> None:
    """Any size between any two cursors, forth and back, in every order, at the root and below each account."""
    cursors = await read_cursors(api, calendar, order)
    document = f"""
    query ({ARGUMENTS}, $order: PostOrder!) {{
      posts({GIVEN}, orderBy: $order) {{ {PAGE} }}
      accounts {{ nodes {{ posts({GIVEN}, orderBy: $order) {{ {PAGE} }} }} }}
    }}
    """
    answer = await api.data(document, calendar.owner, order=order, **asked.variables(cursors))
    listed = calendar.ids(order)
    assert answer["posts"] == expected(listed, listed, asked)
    for account, shown in enumerate(answer["accounts"]["nodes"]):
        assert shown["posts"] == expected(calendar.ids(order, account), listed, asked)


async def read_cursors(api: Api, calendar: Calendar, order: str) -> list[str]:
    """The cursor of each place in an order."""
    document = """
    query ($order: PostOrder!) {
      posts(first: 100, orderBy: $order) { pageInfo { startCursor endCursor } edges { cursor node { id } } }
    }
    """
    page = (await api.data(document, calendar.owner, order=order))["posts"]
    cursors = [edge["cursor"] for edge in page["edges"]]
    assert [edge["node"]["id"] for edge in page["edges"]] == calendar.ids(order)
    assert page["pageInfo"] == {"startCursor": cursors[0], "endCursor": cursors[-1]}
    return cursors


@pytest.mark.parametrize("backward", [False, True], ids=["forth", "back"])
@pytest.mark.parametrize("order", ORDERS)
async def test_paging_while_posts_come_and_go_shows_every_stable_post_once(
    api: Api, calendar: Calendar, order: str, backward: bool
) -> None:
    """Whatever is added or deleted between two pages."""
    account = await api.add_account(calendar.owner)
    sizes = cycle([1, 3, 2, 5])
    passing: list[str] = []
    seen: list[str] = []
    cursor, is_more = None, True
    while is_more:
        size, side = ("last", "before") if backward else ("first", "after")
        document = f"""
        query ($size: Int, $cursor: String, $order: PostOrder!) {{
          posts({size}: $size, {side}: $cursor, orderBy: $order) {{
            nodes {{ id }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
          }}
        }}
        """
        page = (await api.data(document, calendar.owner, size=next(sizes), cursor=cursor, order=order))["posts"]
        ids = [node["id"] for node in page["nodes"]]
        seen = ids + seen if backward else seen + ids
        info = page["pageInfo"]
        cursor = info["startCursor" if backward else "endCursor"]
        is_more = info["hasPreviousPage" if backward else "hasNextPage"]
        if len(passing) % 2:
            await delete(api, calendar, passing[-1])
        passing.append(await api.schedule(calendar.owner, account, hours=len(passing) % 5 * 8_000 + 1))
    assert [post for post in seen if post not in passing] == calendar.ids(order)


async def delete(api: Api, calendar: Calendar, post: str) -> None:
    """Delete a post."""
    document = "mutation ($id: ID!) { deletePost(input: {id: $id}) { userErrors { code } } }"
    assert await api.data(document, calendar.owner, id=post) == {"deletePost": {"userErrors": []}}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("first: 101", "first"),
        ("first: -1", "first"),
        ("last: 101", "last"),
        ("last: -1", "last"),
        ("first: 1, last: 1", "last"),
        ('after: "nonsense"', "after"),
        ('before: ""', "before"),
        ('after: "AAAA"', "after"),
    ],
)
@pytest.mark.parametrize(
    "place",
    ["posts(%s) { totalCount }", "accounts(%s) { totalCount }", "accounts { nodes { posts(%s) { totalCount } } }"],
)
async def test_pages_that_cannot_be_are_refused(api: Api, place: str, arguments: str, field: str) -> None:
    """With the name of the argument, wherever the list is."""
    ada = await api.add_person()
    await api.add_account(ada)
    answer = await api.run("{" + place % arguments + "}", ada)
    [error] = answer["errors"]
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_FAILED", field)


async def test_accounts_come_in_the_order_of_connecting(api: Api) -> None:
    """And page by their own ids."""
    ada = await api.add_person()
    ids = [account_id(await api.add_account(ada)) for _ in range(5)]
    page_of = "nodes { id } pageInfo { endCursor hasNextPage }"
    document = f"query ($after: String) {{ accounts(first: 2, after: $after) {{ {page_of} }} }}"
    seen, cursor, is_more = [], None, True
    while is_more:
        page = (await api.data(document, ada, after=cursor))["accounts"]
        seen += [node["id"] for node in page["nodes"]]
        cursor, is_more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == ids


async def test_attempts_page_below_each_target(api: Api) -> None:
    """The oldest first, the limit for each target by itself."""
    ada = await api.add_person()
    posts = [await api.schedule(ada, await api.add_account(ada)) for _ in range(3)]
    async with api.services.database.connect() as c:
        rows = await c.execute(select(TARGETS.c.post_id, TARGETS.c.id))
        targets = {encode_id(Kind.POST, row.post_id): row.id for row in rows}
    for number in range(1, 4):
        for post in posts[:2]:
            await api.add_attempt(targets[post], number)
    document = """
    { posts { nodes { id targets {
      a: attempts(first: 2) { totalCount nodes { number step outcome } pageInfo { hasNextPage } }
      b: attempts(last: 2) { nodes { number } pageInfo { hasPreviousPage } }
    } } } }
    """
    shown = {node["id"]: node["targets"][0] for node in (await api.data(document, ada))["posts"]["nodes"]}
    for post in posts[:2]:
        assert shown[post]["a"]["totalCount"] == 3
        assert [node["number"] for node in shown[post]["a"]["nodes"]] == [1, 2]
        assert [node["number"] for node in shown[post]["b"]["nodes"]] == [2, 3]
        assert shown[post]["a"]["pageInfo"]["hasNextPage"] is shown[post]["b"]["pageInfo"]["hasPreviousPage"] is True
    assert shown[posts[2]]["a"] == {"totalCount": 0, "nodes": [], "pageInfo": {"hasNextPage": False}}
