"""Whose turn it is: what is due, in what order, and beside what.

Posts of one account go out one after the other, in the order of their times. What a limit or a breaker put off keeps
its place before what comes later; so does a post that goes on soon, after a failure, say. Longer trouble of one post is
not its account's: later ones pass it, and once it is due again it is the first of those that are.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Double,
    FromClause,
    Integer,
    Interval,
    Select,
    Uuid,
    all_,
    any_,
    bindparam,
    cast,
    exists,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.accounts import AccountStatus, Platform
from services.domain.errors import ErrorCode
from services.domain.posts import TargetStatus
from services.models import ACCOUNTS, POSTS, TARGETS

PUT_OFF = (ErrorCode.RATE_LIMITED, ErrorCode.CIRCUIT_OPEN)
"""What a target waits for through nobody's fault: whatever of its account comes later waits behind it."""

SOON = timedelta(minutes=1)
"""What goes on this soon is waited for: people choose times by the minute, and no try of another post may cost more."""

NOT_BEGUN = (TargetStatus.SCHEDULED, TargetStatus.RETRYING)
"""What a platform still works on is not waited for: that may take it long, and is looked at every few seconds."""

IS_FREE = TARGETS.c.lease_until.is_(None)
"""What is due while it is still being prepared is left to whoever does that, and soon lets go of it."""

PUBLISHABLE = [status for status in AccountStatus if status.can_publish]

AWAITS_TOKEN = func.coalesce(ACCOUNTS.c.refresh_token.is_not(None) & (ACCOUNTS.c.expires_at <= func.now()), False)
"""Whether the account's access token has ended and a refresh will bring another."""


@dataclass(frozen=True, slots=True)
class DueTarget:
    """A due target, locked with its post until the claiming transaction ends."""

    id: UUID
    post_id: UUID
    account_id: UUID
    user_id: UUID
    platform: Platform
    scheduled_at: datetime
    due_at: datetime
    """Its time, or when it may go after something put it off."""
    late_by: float
    """Seconds from then until somebody looked, by the database's clock."""
    was_begun: bool
    """Whether an earlier claim may have left something at the platform."""
    is_in_doubt: bool
    """Whether people may see it already: then the platform is asked, whatever became of the account."""
    waits_behind: datetime | None
    """When the last of its account's earlier posts goes that keep their place before it; None: none waits."""
    account_can_publish: bool
    has_token: bool
    awaits_token: bool
    """Whether the access token has ended and a refresh will bring another."""


@dataclass(frozen=True, slots=True)
class NextDue:
    """What a worker waits for."""

    seconds: float | None
    """Until something is due whose turn it can be; 0 or less: now. None: nothing ever."""
    is_anybody_waiting: bool
    """Whether something is due already, in turn or not."""


async def lock_due(
    c: AsyncConnection, *, limit: int, without_users: Collection[UUID] = (), without_accounts: Collection[UUID] = ()
) -> list[DueTarget]:
    """The targets that have been due the longest and that nobody else is looking at, but for those of some people and
    accounts. Their posts and accounts are locked too: what this says of an account holds until the transaction ends.
    """
    holes = {"most": limit, **without(users=without_users, accounts=without_accounts)}
    rows = await c.execute(_locking_due(), holes)
    return [DueTarget(**{**row._mapping, "platform": Platform(row.platform)}) for row in rows]


@dataclass(frozen=True, slots=True)
class Follower:
    """A due target behind another of its account, locked with its post."""

    id: UUID
    post_id: UUID
    account_id: UUID


async def lock_followers(
    c: AsyncConnection, accounts: Collection[UUID], *, due_for: timedelta, limit: int
) -> list[Follower]:
    """What is due of these accounts, for no longer than that, and not begun: in the order of their calendars. What
    somebody else is looking at is left to them."""
    rows = await c.execute(_locking_followers(), {"accounts": list(accounts), "due_for": due_for, "most": limit})
    return [Follower(*row) for row in rows]


async def find_next_due(c: AsyncConnection, *, without_users: Collection[UUID] = ()) -> NextDue:
    """What a worker waits for, by the database's clock; people who have their share under way are passed over."""
    row = (await c.execute(_next_due(), without(users=without_users))).one()
    return NextDue(seconds=row[0], is_anybody_waiting=row[1] is not None and row[1] <= 0)


def without(*, users: Collection[UUID], accounts: Collection[UUID] = ()) -> dict[str, list[UUID]]:
    """What fills the holes of `NOT_OF_USERS` and `NOT_OF_ACCOUNTS`: keys as arrays, however many they are."""
    return {"without_users": list(users), "without_accounts": list(accounts)}


NOT_OF_USERS = TARGETS.c.user_id != all_(bindparam("without_users", type_=ARRAY(Uuid)))
NOT_OF_ACCOUNTS = TARGETS.c.account_id != all_(bindparam("without_accounts", type_=ARRAY(Uuid)))


# Both are built once, with holes for what differs: to build one takes longer than to run it.


@cache
def _locking_due() -> Select[Any]:
    return (
        select(
            TARGETS.c.id,
            TARGETS.c.post_id,
            TARGETS.c.account_id,
            TARGETS.c.user_id,
            TARGETS.c.platform,
            TARGETS.c.calendar_at.label("scheduled_at"),
            TARGETS.c.next_attempt_at.label("due_at"),
            cast(func.extract("epoch", func.clock_timestamp() - TARGETS.c.next_attempt_at), Double).label("late_by"),
            (TARGETS.c.status == TargetStatus.PUBLISHING).label("was_begun"),
            TARGETS.c.step_shows.label("is_in_doubt"),
            _queue_end().label("waits_behind"),
            ACCOUNTS.c.status.in_(PUBLISHABLE).label("account_can_publish"),
            ACCOUNTS.c.access_token.is_not(None).label("has_token"),
            AWAITS_TOKEN.label("awaits_token"),
        )
        .join(POSTS, POSTS.c.id == TARGETS.c.post_id)
        .join(ACCOUNTS, ACCOUNTS.c.id == TARGETS.c.account_id)
        .where(TARGETS.c.next_attempt_at <= func.now(), *_in_turn(), NOT_OF_ACCOUNTS)
        .order_by(TARGETS.c.next_attempt_at, TARGETS.c.id)
        .limit(bindparam("most", type_=Integer()))
        # The account first: who finds it locked leaves all of it alone, and takes no later post beside who looks at an
        # earlier one.
        .with_for_update(of=[ACCOUNTS, TARGETS, POSTS], key_share=True, skip_locked=True)
    )


@cache
def _locking_followers() -> Select[Any]:
    return (
        select(TARGETS.c.id, TARGETS.c.post_id, TARGETS.c.account_id)
        .join(POSTS, POSTS.c.id == TARGETS.c.post_id)
        .where(
            TARGETS.c.account_id == any_(bindparam("accounts", type_=ARRAY(Uuid))),
            TARGETS.c.next_attempt_at <= func.now(),
            TARGETS.c.next_attempt_at > func.now() - bindparam("due_for", type_=Interval()),
            TARGETS.c.status.in_(NOT_BEGUN),
            TARGETS.c.step_shows.is_(False),
            IS_FREE,
        )
        .order_by(TARGETS.c.account_id, TARGETS.c.calendar_at, TARGETS.c.id)
        .limit(bindparam("most", type_=Integer()))
        .with_for_update(of=[TARGETS, POSTS], key_share=True, skip_locked=True)
    )


@cache
def _next_due() -> Select[Any]:
    left = cast(func.extract("epoch", TARGETS.c.next_attempt_at - func.clock_timestamp()), Double)
    soonest = select(left).where(TARGETS.c.next_attempt_at.is_not(None)).order_by(TARGETS.c.next_attempt_at).limit(1)
    return select(soonest.where(*_in_turn()).scalar_subquery(), soonest.scalar_subquery())


def _in_turn() -> list[ColumnElement[bool]]:
    """Whose turn it can be: posts of an account go out one after the other, in order."""
    return [IS_FREE, account_is_idle(), is_first(), NOT_OF_USERS]


def account_is_idle() -> ColumnElement[bool]:
    """Nothing else of the account is being published; asking about what may be out already waits for nobody."""
    other = TARGETS.alias("other")
    is_publishing = other.c.lease_until.is_not(None) & (other.c.status == TargetStatus.PUBLISHING)
    is_busy = exists().where(is_publishing, other.c.account_id == TARGETS.c.account_id).correlate(TARGETS)
    return TARGETS.c.step_shows | ~is_busy


def is_first() -> ColumnElement[bool]:
    """No earlier post of the account is due, whatever made its own due time a later one: a limit, another try, a worker
    that is gone. Nor is one still being prepared. What may be out already is waited for by nobody."""
    earlier = TARGETS.alias("first")
    is_another = exists().where(
        *_comes_before(earlier), earlier.c.next_attempt_at <= func.now(), earlier.c.step_shows.is_(False)
    )
    return TARGETS.c.step_shows | ~is_another.correlate(TARGETS)


def is_behind_none() -> ColumnElement[bool]:
    """No earlier post of the account is to go before it that is not due yet."""
    return TARGETS.c.step_shows | _queue_end().is_(None)


def _queue_end() -> ColumnElement[datetime | None]:
    earlier = TARGETS.alias("earlier")
    is_soon = earlier.c.status.in_(NOT_BEGUN) & (earlier.c.next_attempt_at <= func.now() + SOON)
    return (
        select(func.max(earlier.c.next_attempt_at))
        .where(
            *_comes_before(earlier),
            earlier.c.next_attempt_at > func.now(),
            earlier.c.waiting_code.in_(PUT_OFF) | is_soon,
        )
        .correlate(TARGETS)
        .scalar_subquery()
    )


def _comes_before(earlier: FromClause) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Of the same account, and before it in the calendar; of the same time, the one that was written first."""
    mine, other = (tuple_(table.c.calendar_at, table.c.id) for table in (TARGETS, earlier))
    return earlier.c.account_id == TARGETS.c.account_id, other < mine
