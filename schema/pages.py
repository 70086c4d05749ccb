"""Relay connections over keyset pages. Strawberry's own walk the selection in exponential time (fragment chains)."""

from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import strawberry

from resolvers.listings import Listing
from services.domain.pages import Page

T = TypeVar("T")

First = Annotated[int | None, strawberry.argument(description="At most so many from the start: 0 to 100, default 20.")]
After = Annotated[str | None, strawberry.argument(description="Only what comes after this cursor.")]
Last = Annotated[int | None, strawberry.argument(description="At most so many from the end: 0 to 100.")]
Before = Annotated[str | None, strawberry.argument(description="Only what comes before this cursor.")]


@dataclass(frozen=True, slots=True)
class EdgeValue(Generic[T]):
    """What `Edge` is read off."""

    node: T
    cursor: str


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    """Read off the flags and cursors of a `Page`."""

    has_next_page: bool = strawberry.field(description="Whether more comes after the page's last edge.")
    has_previous_page: bool = strawberry.field(description="Whether something lies before the page's first edge.")
    start_cursor: str | None = strawberry.field(description="The first edge's cursor; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The last edge's cursor; null on an empty page.")


@strawberry.type(description="One place in a list.")
class Edge(Generic[T]):
    """Read off an `EdgeValue`."""

    node: T = strawberry.field(description="What stands there.")
    cursor: str = strawberry.field(description="Names the place; give it to `after` or `before`.")


async def _edges(root: strawberry.Parent[Listing[object]]) -> Any:
    page = await root.page()
    return [EdgeValue(node, cursor) for node, cursor in zip(page.nodes, page.cursors, strict=True)]


async def _nodes(root: strawberry.Parent[Listing[object]]) -> Any:
    return (await root.page()).nodes


async def _page_info(root: strawberry.Parent[Listing[object]]) -> PageInfo:
    page: Page[object] = await root.page()
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.cursors[0] if page.cursors else None,
        end_cursor=page.cursors[-1] if page.cursors else None,
    )


async def _total_count(root: strawberry.Parent[Listing[object]]) -> int:
    return await root.count()


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    """Read off a `Listing`."""

    edges: list[Edge[T]] = strawberry.field(resolver=_edges, description="The page, each with its cursor.")
    nodes: list[T] = strawberry.field(resolver=_nodes, description="The page, without cursors.")
    page_info: PageInfo = strawberry.field(resolver=_page_info, description="Where the page lies in its list.")
    total_count: int = strawberry.field(
        resolver=_total_count, description="How long the whole list is; counted only when asked for."
    )
