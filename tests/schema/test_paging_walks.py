"""Walks through a list that changes under the walker's feet, against a list in memory that changes with it."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from services.domain.ids import Kind, encode_id, new_id
from services.models import POSTS
from tests.graphql_api import Api
from tests.schema.test_pages import ORDERS, START, Calendar, Written, calendar, post_row  # noqa: F401 — a fixture

walked = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

DOCUMENT = """
query ($first: Int, $after: String, $last: Int, $before: String, $order: PostOrder!) {
  posts(first: $first, after: $after, last: $last, before: $before, orderBy: $order) {
    edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""

changes = st.lists(
    st.tuples(st.just("add"), st.integers(-1, 9)) | st.tuples(st.just("remove"), st.integers(0, 9)), max_size=3
)
steps = st.lists(st.tuples(st.booleans(), st.integers(1, 7), changes), min_size=2, max_size=9)


@dataclass
class Changing:
    """The list as it is now; what is added may be removed again, the posts of the calendar stay."""

    calendar: Calendar
    order: str
    added: list[Written] = field(default_factory=list)
    gone: list[Written] = field(default_factory=list)

    def listed(self) -> list[Written]:
        """In order."""
        return sorted([*self.calendar.posts, *self.added], key=self.place, reverse=self.order.endswith("DESC"))

    def place(self, post: Written) -> Any:
        """Where a post stands, ascending; one that is gone, too."""
        return post.place(self.order)

    def beyond(self, post: Written | None, *, is_back: bool) -> list[Written]:
        """What stands behind a place (or before it), the nearest first."""
        listed = self.listed()
        if is_back:
            listed.reverse()
        if post is None:
            return listed
        is_rising = self.order.endswith("ASC") is not is_back
        place = self.place(post)
        return [other for other in listed if (self.place(other) > place) is is_rising and other.id != post.id]

    def find(self, key: str) -> Written:
        """A post that is or was."""
        return next(post for post in (*self.calendar.posts, *self.added, *self.gone) if post.id == key)

    async def change(self, api: Api, what: str, number: int) -> None:
        """Add a post at some hour (or at none), or take one away that was added."""
        if what == "add":
            at = None if number < 0 else START + timedelta(hours=number)
            post = Written(encode_id(Kind.POST, new_id()), at, START + timedelta(microseconds=number + 1), ())
            async with api.services.database.begin() as c:
                await c.execute(insert(POSTS).values(post_row(self.calendar.owner, post)))
            self.added.append(post)
        elif self.added:
            await self.remove(api, self.added.pop(number % len(self.added)))

    async def remove(self, api: Api, post: Written) -> None:
        """Take a post away, even the one at whose cursor the walker stands."""
        async with api.services.database.begin() as c:
            await c.execute(delete(POSTS).where(POSTS.c.id == UUID(post.id.removeprefix("post_"))))
        self.gone.append(replace(post))


@walked
@given(order=st.sampled_from(ORDERS), walk=steps)
async def test_every_page_of_a_walk_is_what_stands_there_now(
    api: Api,
    calendar: Calendar,  # noqa: F811
    order: str,
    walk: list[tuple[bool, int, list[tuple[str, int]]]],
) -> None:
    """Forth and back, turning anywhere, while posts come and go: no post twice, none left out, cursors that outlive
    their posts."""
    changing = Changing(calendar, order)
    first: tuple[str, Written] | None = None
    last: tuple[str, Written] | None = None
    try:
        for is_back, size, meanwhile in walk:
            start = first if is_back else last
            cursor, post = start if start is not None else (None, None)
            asked = {"last": size, "before": cursor} if is_back else {"first": size, "after": cursor}
            page = (await api.data(DOCUMENT, calendar.owner, order=order, **asked))["posts"]

            there = changing.beyond(post, is_back=is_back)
            wanted = [other.id for other in there[:size]]
            assert [edge["node"]["id"] for edge in page["edges"]] == (wanted[::-1] if is_back else wanted)
            assert page["nodes"] == [edge["node"] for edge in page["edges"]]
            assert page["pageInfo"]["hasPreviousPage" if is_back else "hasNextPage"] is (len(there) > size)
            cursors = [edge["cursor"] for edge in page["edges"]]
            assert len(set(cursors)) == len(cursors)
            if cursors:
                assert (page["pageInfo"]["startCursor"], page["pageInfo"]["endCursor"]) == (cursors[0], cursors[-1])
                first = (cursors[0], changing.find(page["nodes"][0]["id"]))
                last = (cursors[-1], changing.find(page["nodes"][-1]["id"]))

            for what, number in meanwhile:
                await changing.change(api, what, number)
            await api.forget_cache()  # nobody else told the caches
    finally:
        for post in list(changing.added):
            await changing.remove(api, post)
        await api.forget_cache()
