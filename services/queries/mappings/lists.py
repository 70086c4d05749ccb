"""Where lists come from: which rows, in which order, and what a filter means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, DateTime, FromClause, Text, Uuid, any_, bindparam, cast, exists, select
from sqlalchemy.types import TypeEngine

from services.domain.posts import PostOrder
from services.domain.selection import ListShape
from services.models import ACCOUNTS, ATTEMPTS, POSTS, TARGETS

_TYPES: Mapping[str, TypeEngine[Any]] = {
    "statuses": ARRAY(Text),
    "platforms": ARRAY(Text),
    "account_ids": ARRAY(Uuid),
    "scheduled_from": DateTime(timezone=True),
    "scheduled_to": DateTime(timezone=True),
    "search": Text(),
}


@dataclass(frozen=True, slots=True)
class Asking:
    """One list of a statement: its arguments' shape, and their values as parameters."""

    place: int
    shape: ListShape

    def value(self, name: str, type_: TypeEngine[Any]) -> ColumnElement[Any]:
        """The parameter that holds an argument."""
        return bindparam(f"{name}_{self.place}", type_=type_)

    def filters(self, conditions: Mapping[str, Callable[[Any], ColumnElement[bool]]]) -> list[ColumnElement[bool]]:
        """Those conditions whose argument is given, each with its parameter."""
        given = {name: unseen(self.value(name, _TYPES[name])) for name in self.shape.filters}
        return [conditions[name](value) for name, value in given.items()]


def unseen(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same value where PostgreSQL's planner does not see it.

    A value that it sees may promise a plan that is a little cheaper, and then it plans the statement anew for every
    request, which takes longer than running it. There is but one good plan for a page: along the index.
    """
    return cast(select(value).scalar_subquery(), value.type)


@dataclass(frozen=True, slots=True)
class Rows:
    """A list's rows: `row` shows them, `tables` and `where` say which, `at` and `id` in which total order.

    An order by id alone has no `at`.
    """

    row: FromClause
    tables: FromClause
    where: list[ColumnElement[bool]]
    id: ColumnElement[Any]
    at: ColumnElement[Any] | None = None
    is_descending: bool = False


List = Callable[[ColumnElement[Any], Asking], Rows]
"""The rows that belong to whom or to what the first argument says."""


def posts_of_owner(owner: ColumnElement[Any], asking: Asking) -> Rows:
    """A person's posts."""
    post = POSTS.alias()
    return Rows(
        row=post,
        tables=post,
        where=[post.c.user_id == owner, *_wanted_posts(post, post.c.calendar_at, asking)],
        id=post.c.id,
        at=post.c.calendar_at if _is_calendar(asking) else post.c.created_at,
        is_descending=_is_descending(asking),
    )


def posts_of_account(account: ColumnElement[Any], asking: Asking) -> Rows:
    """The posts that go to one account; its calendar is read off the targets, whose index has it in order."""
    post, target = POSTS.alias(), TARGETS.alias()
    is_calendar = _is_calendar(asking)
    return Rows(
        row=post,
        tables=target.join(post, post.c.id == target.c.post_id),
        where=[target.c.account_id == account, *_wanted_posts(post, target.c.calendar_at, asking)],
        id=target.c.post_id if is_calendar else post.c.id,
        at=target.c.calendar_at if is_calendar else post.c.created_at,
        is_descending=_is_descending(asking),
    )


def accounts_of_owner(owner: ColumnElement[Any], asking: Asking) -> Rows:
    """A person's accounts, in the order of connecting."""
    account = ACCOUNTS.alias()
    conditions = asking.filters(
        {
            "platforms": lambda platforms: account.c.platform == any_(platforms),
            "statuses": lambda statuses: account.c.status == any_(statuses),
        }
    )
    return Rows(row=account, tables=account, where=[account.c.user_id == owner, *conditions], id=account.c.id)


def attempts_of_target(target: ColumnElement[Any], asking: Asking) -> Rows:
    """Everything that was tried for one target, the oldest first."""
    attempt = ATTEMPTS.alias()
    return Rows(row=attempt, tables=attempt, where=[attempt.c.target_id == target], id=attempt.c.id)


LISTS: Mapping[str, List] = {
    "posts of an owner": posts_of_owner,
    "accounts of an owner": accounts_of_owner,
    "posts of an account": posts_of_account,
    "attempts of a target": attempts_of_target,
}


def _wanted_posts(post: FromClause, calendar_at: ColumnElement[Any], asking: Asking) -> list[ColumnElement[bool]]:
    is_scheduled = post.c.scheduled_at.is_not(None)
    target = TARGETS.alias()

    def has_target(condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists().where(target.c.post_id == post.c.id, condition).correlate(post)

    return asking.filters(
        {
            "statuses": lambda statuses: post.c.status == any_(statuses),
            "scheduled_from": lambda moment: is_scheduled & (calendar_at >= moment),
            "scheduled_to": lambda moment: is_scheduled & (calendar_at < moment),
            "search": lambda text: post.c.caption.icontains(text, escape="/"),
            "platforms": lambda platforms: has_target(target.c.platform == any_(platforms)),
            "account_ids": lambda accounts: has_target(target.c.account_id == any_(accounts)),
        }
    )


def _is_calendar(asking: Asking) -> bool:
    return asking.shape.order in (PostOrder.SCHEDULED_AT_ASC, PostOrder.SCHEDULED_AT_DESC)


def _is_descending(asking: Asking) -> bool:
    return asking.shape.order in (PostOrder.SCHEDULED_AT_DESC, PostOrder.CREATED_AT_DESC)
