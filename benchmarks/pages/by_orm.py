"""The same fields as a good team would write them: Strawberry types over ORM rows, a dataloader for each relation,
Strawberry's own view, its caches of parsed and validated documents, orjson, a session for each batch.

It checks no key but the key's id, and has no limits, codes, logs or page cursors.
"""

import os
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import strawberry
from aiodataloader import DataLoader
from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from services.models.base import Moment


class Table(DeclarativeBase):
    """Every table has a key."""

    id: Mapped[UUID] = mapped_column(primary_key=True)


class PostRow(Table):
    __tablename__ = "posts"
    user_id: Mapped[UUID]
    caption: Mapped[str]
    link: Mapped[str | None]
    status: Mapped[str]
    scheduled_at: Mapped[Moment | None]
    calendar_at: Mapped[Moment]
    published_at: Mapped[Moment | None]
    created_at: Mapped[Moment]
    version: Mapped[int]


class AccountRow(Table):
    __tablename__ = "accounts"
    user_id: Mapped[UUID]
    platform: Mapped[str]
    handle: Mapped[str]
    display_name: Mapped[str]
    avatar_url: Mapped[str | None]


class TargetRow(Table):
    __tablename__ = "post_targets"
    post_id: Mapped[UUID] = mapped_column(ForeignKey("posts.id"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    position: Mapped[int]
    platform: Mapped[str]
    status: Mapped[str]
    permalink: Mapped[str | None]
    attempt_count: Mapped[int]
    calendar_at: Mapped[Moment]


class MediaRow(Table):
    __tablename__ = "media"
    post_id: Mapped[UUID] = mapped_column(ForeignKey("posts.id"))
    position: Mapped[int]
    kind: Mapped[str]
    url: Mapped[str]
    alt_text: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]


class ApiKeyRow(Table):
    __tablename__ = "api_keys"
    user_id: Mapped[UUID]


class Loaders:
    """One of each relation, per request."""

    def __init__(self, sessions: async_sessionmaker[Any]) -> None:
        self._sessions = sessions
        self.accounts = DataLoader(self._load_accounts)
        self.targets = DataLoader(partial(self._load_many, TargetRow))
        self.media = DataLoader(partial(self._load_many, MediaRow))

    async def _load_accounts(self, keys: Sequence[UUID]) -> list[AccountRow]:
        async with self._sessions() as session:
            found = {row.id: row for row in await session.scalars(select(AccountRow).where(AccountRow.id.in_(keys)))}
        return [found[key] for key in keys]

    async def _load_many(self, table: Any, keys: Sequence[UUID]) -> list[list[Any]]:
        children = defaultdict(list)
        async with self._sessions() as session:
            rows = await session.scalars(select(table).where(table.post_id.in_(keys)).order_by(table.position))
            for row in rows:
                children[row.post_id].append(row)
        return [children[key] for key in keys]


@strawberry.type
class Breaker:
    state: str


@strawberry.type
class Media:
    row: strawberry.Private[MediaRow]
    kind: str
    url: str
    alt_text: str | None
    width: int | None
    height: int | None

    @strawberry.field
    def id(self) -> strawberry.ID:
        return strawberry.ID(f"media_{self.row.id.hex}")


@strawberry.type
class Account:
    row: strawberry.Private[AccountRow]
    platform: str
    handle: str
    display_name: str
    avatar_url: str | None

    @strawberry.field
    def id(self) -> strawberry.ID:
        return strawberry.ID(f"acct_{self.row.id.hex}")

    @strawberry.field
    def circuit_breaker(self) -> Breaker:
        return Breaker(state="CLOSED")

    @strawberry.field
    async def posts(self, info: strawberry.Info, first: int, filter: "PostFilter") -> "Posts":  # noqa: A002 — its name
        statement = (
            select(PostRow)
            .join(TargetRow, TargetRow.post_id == PostRow.id)
            .where(TargetRow.account_id == self.row.id, TargetRow.calendar_at >= filter.scheduled_from)
            .order_by(TargetRow.calendar_at, TargetRow.post_id)
            .limit(first)
        )
        async with info.context["sessions"]() as session:
            return Posts(nodes=[show_post(row) for row in await session.scalars(statement)])


@strawberry.type
class Target:
    row: strawberry.Private[TargetRow]
    platform: str
    status: str
    permalink: str | None
    attempt_count: int

    @strawberry.field
    def id(self) -> strawberry.ID:
        return strawberry.ID(f"tgt_{self.row.id.hex}")

    @strawberry.field
    async def account(self, info: strawberry.Info) -> Account:
        return show_account(await info.context["loaders"].accounts.load(self.row.account_id))


@strawberry.type
class Post:
    row: strawberry.Private[PostRow]
    caption: str
    link: str | None
    status: str
    scheduled_at: datetime | None
    published_at: datetime | None
    created_at: datetime
    version: int

    @strawberry.field
    def id(self) -> strawberry.ID:
        return strawberry.ID(f"post_{self.row.id.hex}")

    @strawberry.field
    async def targets(self, info: strawberry.Info) -> list[Target]:
        return [show_target(row) for row in await info.context["loaders"].targets.load(self.row.id)]

    @strawberry.field
    async def media(self, info: strawberry.Info) -> list[Media]:
        return [show_medium(row) for row in await info.context["loaders"].media.load(self.row.id)]


@strawberry.type
class Posts:
    nodes: list[Post]


@strawberry.type
class Accounts:
    nodes: list[Account]


@strawberry.input
class PostFilter:
    scheduled_from: datetime


@strawberry.type
class Query:
    @strawberry.field
    async def posts(self, info: strawberry.Info, first: int, filter: PostFilter) -> Posts:  # noqa: A002 — its name
        statement = (
            select(PostRow)
            .where(PostRow.user_id == info.context["user"], PostRow.calendar_at >= filter.scheduled_from)
            .order_by(PostRow.calendar_at, PostRow.id)
            .limit(first)
        )
        async with info.context["sessions"]() as session:
            return Posts(nodes=[show_post(row) for row in await session.scalars(statement)])

    @strawberry.field
    async def post(self, info: strawberry.Info, id: strawberry.ID) -> Post | None:  # noqa: A002 — its name
        key = UUID(hex=id.removeprefix("post_"))
        statement = select(PostRow).where(PostRow.id == key, PostRow.user_id == info.context["user"])
        async with info.context["sessions"]() as session:
            row = await session.scalar(statement)
        return None if row is None else show_post(row)

    @strawberry.field
    async def accounts(self, info: strawberry.Info) -> Accounts:
        statement = select(AccountRow).where(AccountRow.user_id == info.context["user"]).order_by(AccountRow.id)
        async with info.context["sessions"]() as session:
            return Accounts(nodes=[show_account(row) for row in await session.scalars(statement.limit(20))])


def show_post(row: PostRow) -> Post:
    """The row's fields."""
    names = ("caption", "link", "status", "scheduled_at", "published_at", "created_at", "version")
    return Post(row=row, **{name: getattr(row, name) for name in names})


def show_account(row: AccountRow) -> Account:
    """The row's fields."""
    return Account(
        row=row,
        platform=row.platform,
        handle=row.handle,
        display_name=row.display_name,
        avatar_url=row.avatar_url,
    )


def show_target(row: TargetRow) -> Target:
    """The row's fields."""
    return Target(
        row=row, platform=row.platform, status=row.status, permalink=row.permalink, attempt_count=row.attempt_count
    )


def show_medium(row: MediaRow) -> Media:
    """The row's fields."""
    return Media(row=row, kind=row.kind, url=row.url, alt_text=row.alt_text, width=row.width, height=row.height)


class View(GraphQL[Any, None]):
    """Strawberry's, with orjson and a context."""

    def __init__(self, schema: strawberry.Schema) -> None:
        super().__init__(schema, graphql_ide=None)
        self.state: Any = None

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)

    async def get_context(self, request: Any, response: Any) -> dict[str, Any]:
        key = UUID(hex=request.headers["authorization"][13:45])
        sessions = self.state.sessions
        return {"loaders": Loaders(sessions), "sessions": sessions, "user": self.state.people[key]}


def create_app() -> Starlette:
    """For `uvicorn --factory`."""
    view = View(strawberry.Schema(Query, extensions=[ParserCache(1_000), ValidationCache(1_000)]))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
        engine = create_async_engine(url, pool_size=5, max_overflow=15)
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        async with app.state.sessions() as session:
            app.state.people = {row.id: row.user_id for row in await session.scalars(select(ApiKeyRow))}
        view.state = app.state
        yield
        await engine.dispose()

    async def graphql(request: Request) -> Any:
        return await view.run(request)

    return Starlette(routes=[Route("/graphql", graphql, methods=["POST"])], lifespan=lifespan)
