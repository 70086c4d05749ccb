"""Random calendars of two people, small enough for plain Python to say what every list must show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.accounts import AccountStatus, Platform
from services.domain.ids import new_id
from services.domain.pages import PageRequest, Place
from services.domain.posts import PostFilter, PostOrder, PostStatus
from services.domain.viewers import Role
from services.models import ACCOUNTS, POSTS, TARGETS
from services.queries.users import insert_user

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
MOMENTS = [NOON + timedelta(microseconds=step) for step in (0, 1, 2)] + [NOON + timedelta(days=1)]
PLATFORMS = (Platform.INSTAGRAM, Platform.FACEBOOK, Platform.FACEBOOK)
WORDS = ("bread", "Bread 100%", "bun_dles", "")


@dataclass(frozen=True)
class Entry:
    """One post as it was made up."""

    owner: int
    scheduled_at: datetime | None
    created_at: datetime
    status: PostStatus
    caption: str
    accounts: frozenset[int]
    """Which of the owner's three."""


@dataclass(frozen=True)
class Looking:
    """What is asked for; places are given by the number of an entry."""

    order: PostOrder
    size: int
    backward: bool
    after: int | None
    before: int | None
    statuses: tuple[PostStatus, ...] | None
    platforms: tuple[Platform, ...] | None
    account: int | None
    scheduled_from: datetime | None
    scheduled_to: datetime | None
    search: str | None


T = TypeVar("T")


def rarely(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    """Mostly nothing: with every filter at once hardly anything would be left to look at."""
    return st.sampled_from([False] * 5 + [True]).flatmap(lambda is_asked: strategy if is_asked else st.none())


STATUSES = st.sampled_from([PostStatus.SCHEDULED, PostStatus.DRAFT, PostStatus.PUBLISHED])
ENTRIES = st.lists(
    st.builds(
        Entry,
        owner=st.sampled_from([0, 0, 0, 1]),
        scheduled_at=st.none() | st.sampled_from(MOMENTS),
        created_at=st.sampled_from(MOMENTS),
        status=STATUSES,
        caption=st.sampled_from(WORDS),
        accounts=st.frozensets(st.integers(0, 2), min_size=1) | st.just(frozenset()),
    ),
    min_size=3,
    max_size=12,
)
LOOKING = st.builds(
    Looking,
    order=st.sampled_from(PostOrder),
    size=st.integers(0, 5),
    backward=st.booleans(),
    after=st.none() | st.integers(0, 11),
    before=rarely(st.integers(0, 11)),
    statuses=rarely(st.lists(STATUSES, max_size=2).map(tuple)),
    platforms=rarely(st.lists(st.sampled_from(Platform), max_size=2).map(tuple)),
    account=rarely(st.integers(0, 2)),
    scheduled_from=rarely(st.sampled_from(MOMENTS)),
    scheduled_to=rarely(st.sampled_from(MOMENTS)),
    search=rarely(st.sampled_from(["BREAD", "100%", "n_d", ""])),
)


@dataclass(frozen=True)
class Calendar:
    """The entries as they are stored."""

    owners: tuple[UUID, UUID]
    accounts: dict[tuple[int, int], UUID]
    entries: dict[UUID, Entry]
    """In the order in which they were made."""

    def place(self, post_id: UUID, order: PostOrder) -> Place:
        """Where a post stands in an order."""
        entry = self.entries[post_id]
        is_by_time = order in (PostOrder.SCHEDULED_AT_ASC, PostOrder.SCHEDULED_AT_DESC)
        return Place(post_id, (entry.scheduled_at or NEVER) if is_by_time else entry.created_at)

    def page(self, looking: Looking) -> PageRequest:
        """The request that looks at this calendar."""
        ids = list(self.entries)

        def place(number: int | None) -> Place | None:
            return None if number is None or number >= len(ids) else self.place(ids[number], looking.order)

        return PageRequest(looking.size, looking.backward, place(looking.after), place(looking.before))

    def wanted(self, looking: Looking) -> PostFilter:
        """The filter that looks at this calendar."""
        return PostFilter(
            statuses=looking.statuses,
            platforms=looking.platforms,
            account_ids=None if looking.account is None else (self.accounts[0, looking.account],),
            scheduled_from=looking.scheduled_from,
            scheduled_to=looking.scheduled_to,
            search=looking.search,
        )

    def matching(self, looking: Looking, *, account: int | None = None) -> list[UUID]:
        """The first owner's posts that the filter means, in order, of one account or of all; by plain Python."""
        found = [
            post_id
            for post_id, entry in self.entries.items()
            if entry.owner == 0 and _fits(entry, looking) and (account is None or account in entry.accounts)
        ]
        return in_order([self.place(post_id, looking.order) for post_id in found], looking.order.endswith("DESC"))


def in_order(places: Sequence[Place], descending: bool) -> list[UUID]:
    """By moment and then id."""
    return [place.id for place in sorted(places, key=lambda place: (place.at, place.id), reverse=descending)]


def cut(places: list[Place], page: PageRequest, descending: bool) -> tuple[list[UUID], bool, bool]:
    """The page of an ordered list: ids, has_next, has_previous; by plain Python."""

    def is_beyond(place: Place, other: Place) -> bool:
        key, there = (place.at, place.id), (other.at, other.id)
        return key < there if descending else key > there

    kept = [place for place in places if page.after is None or is_beyond(place, page.after)]
    kept = [place for place in kept if page.before is None or is_beyond(page.before, place)]
    if page.backward:
        taken = kept[max(0, len(kept) - page.size) :]
        return [place.id for place in taken], page.before is not None, len(kept) > page.size
    return [place.id for place in kept[: page.size]], len(kept) > page.size, page.after is not None


def _fits(entry: Entry, looking: Looking) -> bool:
    platforms = {PLATFORMS[number] for number in entry.accounts}
    at = entry.scheduled_at
    return (
        (looking.statuses is None or entry.status in looking.statuses)
        and (looking.platforms is None or bool(platforms & set(looking.platforms)))
        and (looking.account is None or looking.account in entry.accounts)
        and (looking.scheduled_from is None or (at is not None and at >= looking.scheduled_from))
        and (looking.scheduled_to is None or (at is not None and at < looking.scheduled_to))
        and (not looking.search or looking.search.lower() in entry.caption.lower())
    )


async def store(c: AsyncConnection, entries: Sequence[Entry]) -> Calendar:
    """Write a calendar down."""
    owners = (new_id(), new_id())
    accounts = {(owner, number): new_id() for owner in (0, 1) for number in range(3)}
    for owner in owners:
        await insert_user(c, user_id=owner, name="Ada", role=Role.PERSON)
    await c.execute(
        insert(ACCOUNTS),
        [
            {
                "id": key,
                "user_id": owners[owner],
                "platform": PLATFORMS[number],
                "external_id": str(number),
                "handle": "h",
                "display_name": "d",
                "status": AccountStatus.CONNECTED,
            }
            for (owner, number), key in accounts.items()
        ],
    )
    stored = {new_id(): entry for entry in entries}
    if stored:
        await c.execute(insert(POSTS), [_post(owners, key, entry) for key, entry in stored.items()])
    targets = [
        {
            "id": new_id(),
            "post_id": key,
            "account_id": accounts[entry.owner, number],
            "user_id": owners[entry.owner],
            "platform": PLATFORMS[number],
            "position": number,
            "calendar_at": entry.scheduled_at or NEVER,
            "status": "DRAFT",
        }
        for key, entry in stored.items()
        for number in entry.accounts
    ]
    if targets:
        await c.execute(insert(TARGETS), targets)
    return Calendar(owners, accounts, stored)


def _post(owners: tuple[UUID, UUID], key: UUID, entry: Entry) -> dict[str, object]:
    return {
        "id": key,
        "user_id": owners[entry.owner],
        "caption": entry.caption,
        "status": entry.status,
        "scheduled_at": entry.scheduled_at,
        "created_at": entry.created_at,
    }
