"""The extensions' hooks: entered in order, left in reverse, and left also where a later one refuses."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import strawberry
from strawberry.extensions import SchemaExtension

from schema.extensions.error_codes import QuietSchema

SEEN: list[str] = []


class First(SchemaExtension):
    """Has every hook."""

    def on_operation(self) -> Iterator[None]:
        SEEN.append("operation >")
        yield
        SEEN.append("operation <")

    def on_parse(self) -> Iterator[None]:
        SEEN.append("parse >")
        yield
        SEEN.append("parse <")

    def on_validate(self) -> Iterator[None]:
        SEEN.append("validate >")
        yield
        SEEN.append("validate <")

    def on_execute(self) -> Iterator[None]:
        SEEN.append("execute >")
        try:
            yield
        finally:
            SEEN.append("execute <")

    def get_results(self) -> dict[str, Any]:
        return {"first": 1}


class Second(SchemaExtension):
    """Has one, which waits."""

    async def on_execute(self) -> AsyncIterator[None]:
        SEEN.append("second >")
        yield
        SEEN.append("second <")

    async def get_results(self) -> dict[str, Any]:
        return {"second": 2}


class Refusing(SchemaExtension):
    """Lets nothing be executed."""

    async def on_execute(self) -> AsyncIterator[None]:
        raise ValueError("not today")
        yield


@strawberry.type
class Query:
    """The least there can be."""

    @strawberry.field
    def answer(self) -> int:
        """Executed."""
        SEEN.append("answer")
        return 42


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    """Every test begins anew."""
    SEEN.clear()


async def run(*extensions: type[SchemaExtension]) -> Any:
    """`{ answer }` with these around it."""
    return await QuietSchema(Query, extensions=list(extensions)).execute("{ answer }")


async def test_hooks_nest_in_the_order_of_the_extensions() -> None:
    """The first is entered first and left last, in every phase; all results are told."""
    result = await run(First, Second)

    assert (result.data, result.extensions) == ({"answer": 42}, {"first": 1, "second": 2})
    assert [
        *("operation >", "parse >", "parse <", "validate >", "validate <"),
        *("execute >", "second >", "answer", "second <", "execute <", "operation <"),
    ] == SEEN


async def test_what_was_entered_is_left_where_a_later_one_refuses() -> None:
    """Nothing that an extension took for the operation stays taken."""
    result = await run(First, Refusing)

    assert result.errors[0].message == "not today"
    assert "answer" not in SEEN
    assert SEEN[-2:] == ["execute >", "execute <"]
