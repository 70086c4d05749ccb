"""Keyset pages against plain Python: every order, both directions, ties, drafts without a time, filters, owners."""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from services.domain.ids import new_id
from services.domain.pages import PageRequest, Place
from services.domain.posts import PostFilter, PostOrder, PostStatus
from services.models import ATTEMPTS
from services.queries.attempts import count_attempts, find_attempts, page_attempts
from services.queries.posts import (
    count_account_posts,
    count_posts,
    find_posts,
    page_account_posts,
    page_posts,
)
from services.queries.targets import find_targets, load_targets
from tests.services.queries.calendars import ENTRIES, LOOKING, NOON, Entry, Looking, cut, store

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(entries=ENTRIES, looking=LOOKING)
async def test_a_page_of_posts_is_what_plain_python_says(
    engine: AsyncEngine, entries: Sequence[Entry], looking: Looking
) -> None:
    """Nodes, cursors, flags and the total."""
    descending = looking.order.endswith("DESC")
    async with engine.connect() as c:
        calendar = await store(c, entries)
        owner, wanted, request = calendar.owners[0], calendar.wanted(looking), calendar.page(looking)

        page = await page_posts(c, owner=owner, wanted=wanted, order=looking.order, page=request)
        total = await count_posts(c, owner=owner, wanted=wanted)

    matching = calendar.matching(looking)
    expected = cut([calendar.place(post_id, looking.order) for post_id in matching], request, descending)
    assert ([node.id for node in page.nodes], page.has_next, page.has_previous) == expected
    assert [Place.from_cursor(cursor) for cursor in page.cursors] == [
        calendar.place(node.id, looking.order) for node in page.nodes
    ]
    assert total == len(matching)


@MANY
@given(entries=ENTRIES, looking=LOOKING)
async def test_a_page_per_account_is_what_plain_python_says(
    engine: AsyncEngine, entries: Sequence[Entry], looking: Looking
) -> None:
    """The size holds for each account by itself; somebody else's account has nothing to show."""
    descending = looking.order.endswith("DESC")
    async with engine.connect() as c:
        calendar = await store(c, entries)
        owner, wanted, request = calendar.owners[0], calendar.wanted(looking), calendar.page(looking)
        ids = list(calendar.accounts.values())

        pages = await page_account_posts(c, ids, owner=owner, wanted=wanted, order=looking.order, page=request)
        totals = await count_account_posts(c, ids, owner=owner, wanted=wanted)

    assert list(pages) == list(totals) == ids
    for (whose, number), account_id in calendar.accounts.items():
        matching = calendar.matching(looking, account=number) if whose == 0 else []
        expected = cut([calendar.place(post_id, looking.order) for post_id in matching], request, descending)
        page = pages[account_id]
        assert ([node.id for node in page.nodes], page.has_next, page.has_previous) == expected
        assert totals[account_id] == len(matching)


@settings(MANY, max_examples=60)
@given(
    lines=st.lists(st.integers(0, 2), max_size=10),
    size=st.integers(0, 4),
    backward=st.booleans(),
    after=st.none() | st.integers(0, 9),
    before=st.none() | st.integers(0, 9),
)
async def test_a_page_of_ledgers_is_what_plain_python_says(  # noqa: PLR0917 - hypothesis names them
    engine: AsyncEngine, lines: list[int], size: int, backward: bool, after: int | None, before: int | None
) -> None:
    """Each target's lines in order, its own size, and none of another's."""
    entry = Entry(0, NOON, NOON, PostStatus.SCHEDULED, "bread", frozenset({0, 1, 2}))
    async with engine.connect() as c:
        calendar = await store(c, [entry])
        [post_id] = calendar.entries
        targets = [target.id for target in (await load_targets(c, [post_id]))[post_id]]
        ledger = {new_id(): targets[number] for number in lines}
        for line_id, target_id in ledger.items():
            moments = {"started_at": NOON, "ended_at": NOON + timedelta(seconds=1)}
            line = {"id": line_id, "target_id": target_id, "number": 1, "step": "s", "outcome": "WAITING", **moments}
            await c.execute(insert(ATTEMPTS).values(line))
        places = [Place(line_id) for line_id in ledger]
        request = PageRequest(
            size,
            backward,
            None if after is None or after >= len(places) else places[after],
            None if before is None or before >= len(places) else places[before],
        )

        pages = await page_attempts(c, targets, page=request)
        totals = await count_attempts(c, targets)

    for target_id in targets:
        own = [Place(line_id) for line_id, whose in ledger.items() if whose == target_id]
        page = pages[target_id]
        assert ([node.id for node in page.nodes], page.has_next, page.has_previous) == cut(own, request, False)
        assert totals[target_id] == len(own)


async def test_what_is_found_by_id_is_ones_own(engine: AsyncEngine) -> None:
    """Posts, targets and ledger lines of others are as absent as those that never were; operators see all."""
    entries = [Entry(owner, NOON, NOON, PostStatus.SCHEDULED, "bread", frozenset({0})) for owner in (0, 1)]
    async with engine.connect() as c:
        calendar = await store(c, entries)
        mine, theirs = calendar.entries
        targets = await load_targets(c, [mine, theirs])
        ids = [targets[post_id][0].id for post_id in (mine, theirs)]
        lines = [new_id(), new_id()]
        for line_id, target_id in zip(lines, ids, strict=True):
            moments = {"started_at": NOON, "ended_at": NOON}
            line = {"id": line_id, "target_id": target_id, "number": 1, "step": "s", "outcome": "WAITING", **moments}
            await c.execute(insert(ATTEMPTS).values(line))
        owner = calendar.owners[0]

        assert list(await find_posts(c, [mine, theirs, new_id()], owner=owner)) == [mine]
        assert list(await find_targets(c, [*ids, new_id()], owner=owner)) == [ids[0]]
        assert list(await find_attempts(c, [*lines, new_id()], owner=owner)) == [lines[0]]
        assert set(await find_posts(c, [mine, theirs], owner=None)) == {mine, theirs}
        everybody = await count_posts(c, owner=None, wanted=PostFilter(account_ids=tuple(calendar.accounts.values())))
        assert everybody == 2
        request = PageRequest()
        accounts = list(calendar.accounts.values())
        pages = await page_account_posts(
            c, accounts, owner=None, wanted=PostFilter(), order=PostOrder.CREATED_AT_ASC, page=request
        )
        assert sum(len(page.nodes) for page in pages.values()) == 2
