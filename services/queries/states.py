"""A post with all that belongs to it: locked, settled and read as one.

Every write to a post, its targets or its media goes the same way: `lock_state`, change, `settle_post`. The lock on the
post row makes writers of one post wait for each other; settling rolls the targets up and raises the version, and what
it returns is both the answer to the writer and the event for everybody else.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, any_, bindparam, case, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from services.domain.events import Event
from services.domain.posts import STILL_TO_COME, PostState, PostStatus, TargetStatus
from services.models import ACCOUNTS, MEDIA, POSTS, TARGETS
from services.queries.accounts import PUBLIC
from services.queries.rows import account_from, media_from, post_from, target_from

PRIVATE = ("checkpoint", "lease", "lease_until", "leased_by", "prepare_at", "step", "step_began_at", "step_shows")
"""What workers keep for themselves; never part of a state."""

StateRows = Mapping[str, Any]
"""A state as JSON: the rows of the post, its targets, its media and their accounts, as an event carries them."""


@dataclass(frozen=True, slots=True)
class LockedPost:
    """A post that nobody else can change until this transaction ends."""

    state: PostState
    in_flight: frozenset[UUID]
    """Targets that a worker is publishing, or that people may see already: too late to change. One that is only being
    prepared is not among them."""


async def lock_post(c: AsyncConnection, post_id: UUID, *, owner: UUID | None) -> bool:
    """Lock a post; False where it is absent or somebody else's."""
    mine = [] if owner is None else [POSTS.c.user_id == owner]
    lock = select(POSTS.c.id).where(POSTS.c.id == post_id, *mine).with_for_update()
    return (await c.execute(lock)).one_or_none() is not None


async def lock_state(c: AsyncConnection, post_id: UUID, *, owner: UUID | None) -> LockedPost | None:
    """Lock a post and read it whole; None where it is absent or somebody else's."""
    if not await lock_post(c, post_id, owner=owner):
        return None
    # A second statement, so that it sees what the holder before us committed.
    is_publishing = TARGETS.c.lease_until.is_not(None) & (TARGETS.c.status == TargetStatus.PUBLISHING)
    in_flight = is_publishing | TARGETS.c.step_shows
    held = select(func.array_agg(TARGETS.c.id)).where(TARGETS.c.post_id == post_id, in_flight).scalar_subquery()
    row = (await c.execute(_state().add_columns(held.label("held")).where(POSTS.c.id == post_id))).one()
    return LockedPost(state_from_json(row.state), frozenset(row.held or ()))


async def settle_post(c: AsyncConnection, post_id: UUID, **values: Any) -> tuple[PostState, Event]:
    """Roll the post's targets up, raise its version, set `values`; gives the new state and the event that tells it."""
    [settled] = await settle_posts(c, [post_id], **values)
    return settled


async def settle_posts(c: AsyncConnection, post_ids: Collection[UUID], **values: Any) -> list[tuple[PostState, Event]]:
    """`settle_post` for several locked posts in one statement."""
    settled = []
    settling = _settling(tuple(values))
    for payload in (await c.execute(settling, {"settled": list(post_ids), **values})).scalars():
        state = state_from_json(payload)
        owner = state.post.user_id
        settled.append((state, Event(owner, "POST_CHANGED", payload, (post_tag(owner),))))
    return settled


@cache
def _settling(names: tuple[str, ...]) -> Select[Any]:
    """Built once for each set of columns that are given new values: that takes longer than running it."""
    own = TARGETS.c.post_id == POSTS.c.id
    changed = (
        update(POSTS)
        .where(POSTS.c.id == any_(bindparam("settled", type_=ARRAY(Uuid))))
        .values(
            status=select(_rolled_up()).where(own).scalar_subquery(),
            published_at=select(func.min(TARGETS.c.published_at)).where(own).scalar_subquery(),
            version=POSTS.c.version + 1,
            updated_at=func.now(),
            **{name: bindparam(name, type_=POSTS.c[name].type) for name in names},
        )
        .returning(POSTS)
        .cte("changed")
    )
    return select(_state_of(changed))


async def read_state(c: AsyncConnection, post_id: UUID, *, owner: UUID | None) -> PostState | None:
    """A post whole, as it stands; None where it is absent or somebody else's."""
    rows = await read_rows(c, post_id, owner=owner)
    return None if rows is None else state_from_json(rows)


async def read_rows(c: AsyncConnection, post_id: UUID, *, owner: UUID | None) -> StateRows | None:
    """The same as an event would tell it."""
    mine = [] if owner is None else [POSTS.c.user_id == owner]
    rows: StateRows | None = (await c.execute(_state().where(POSTS.c.id == post_id, *mine))).scalar_one_or_none()
    return rows


async def upcoming_rows(c: AsyncConnection, *, owner: UUID, limit: int) -> list[StateRows]:
    """The owner's posts that are still to come, soonest first."""
    to_come = [PostStatus(status.value) for status in STILL_TO_COME]
    statement = (
        _state()
        .where(POSTS.c.user_id == owner, POSTS.c.status.in_(to_come))
        .order_by(POSTS.c.calendar_at, POSTS.c.id)
        .limit(limit)
    )
    return [row.state for row in await c.execute(statement)]


def state_from_json(data: StateRows) -> PostState:
    """A state as `settle_post` put it into an event."""
    return PostState(
        post=post_from(data["post"]),
        targets=tuple(target_from(row) for row in data["targets"]),
        media=tuple(media_from(row) for row in data["media"]),
        accounts=tuple(account_from(row) for row in data.get("accounts", ())),  # older events have none
    )


def post_tag(user_id: UUID) -> str:
    """The cache tag that every page of this person's posts carries."""
    return f"posts:{user_id.hex}"


def account_tag(user_id: UUID) -> str:
    """The cache tag that every list of this person's accounts carries."""
    return f"accounts:{user_id.hex}"


def _state() -> Select[Any]:
    return select(_state_of(POSTS).label("state"))


def _state_of(post: Any) -> ColumnElement[Any]:
    targets = func.jsonb_agg(
        aggregate_order_by(
            func.to_jsonb(TARGETS.table_valued()).op("-")(literal(list(PRIVATE), ARRAY(TEXT))), TARGETS.c.position
        )
    )
    # One by one, for an account's row holds tokens, too.
    shown = func.jsonb_build_object(*(part for column in PUBLIC for part in (column.name, column)))
    # A join, not a subquery within a subquery: SQLAlchemy would bind the inner one to no post at all.
    accounts = (
        select(func.jsonb_agg(aggregate_order_by(shown, ACCOUNTS.c.id)))
        .select_from(ACCOUNTS.join(TARGETS, TARGETS.c.account_id == ACCOUNTS.c.id))
        .where(TARGETS.c.post_id == post.c.id)
    )
    media = func.jsonb_agg(aggregate_order_by(func.to_jsonb(MEDIA.table_valued()), MEDIA.c.position))
    empty = func.jsonb_build_array()
    return func.jsonb_build_object(
        "post",
        func.to_jsonb(post.table_valued()),
        "targets",
        func.coalesce(select(targets).where(TARGETS.c.post_id == post.c.id).scalar_subquery(), empty),
        "media",
        func.coalesce(select(media).where(MEDIA.c.post_id == post.c.id).scalar_subquery(), empty),
        "accounts",
        func.coalesce(accounts.scalar_subquery(), empty),
    )


def _rolled_up() -> ColumnElement[str]:
    """`services.domain.posts.roll_up` in SQL, over the targets of one post."""
    status = TARGETS.c.status
    return case(
        (func.count() == 0, PostStatus.DRAFT.value),
        (func.count(status.distinct()) == 1, func.min(status)),
        *((func.bool_or(status == still), still.value) for still in STILL_TO_COME),
        (func.bool_or(status == TargetStatus.PUBLISHED), PostStatus.PARTIALLY_PUBLISHED.value),
        else_=PostStatus.FAILED.value,
    )
