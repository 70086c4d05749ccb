"""The extensions' hooks: entered in order, left in reverse, and left also where a later one refuses."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Literal, get_args

import pytest
import strawberry
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext

from schema.extensions.error_codes import QuietSchema
from schema.extensions.runner import ExtensionsRunner

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


@strawberry.type
class Subscription:
    """The least that can be watched."""

    @strawberry.subscription
    async def answers(self) -> AsyncIterator[int]:
        """Twice."""
        yield 1
        yield 2


class Watching(SchemaExtension):
    """Sees every event on its way out, and may change it."""

    def on_stream_result(self, result: Any) -> Iterator[None]:
        SEEN.append(f"result {result.data} >")
        result.extensions = {"seen": True}
        yield
        SEEN.append("result <")


async def test_every_event_passes_the_hooks_before_it_is_told() -> None:
    """What they make of it is what is told."""
    schema = QuietSchema(Query, subscription=Subscription, extensions=[First, Watching])
    async for result in await schema.subscribe("subscription { answers }"):
        told_with = result.extensions
        SEEN.append(f"told {told_with}")

    told = [[f"result {{'answers': {number}}} >", "told {'seen': True}", "result <"] for number in (1, 2)]
    assert SEEN[SEEN.index("execute <") + 1 : -1] == [*told[0], *told[1]]


Manner = Literal["passes", "swallows", "changes", "fails at its end", "refuses"]


def hook_of(manner: Manner, name: str, seen: list[str], *, waits: bool) -> type[SchemaExtension]:
    """An extension whose one hook behaves so when it is entered and left."""

    def steps() -> Iterator[None]:
        seen.append(f"{name} >")
        if manner == "refuses":
            raise ValueError(f"{name} refuses")
        try:
            yield
        except ValueError as error:
            seen.append(f"{name} saw {error}")
            if manner == "swallows":
                return
            if manner == "changes":
                raise ValueError(f"{name} changed it") from error
            raise
        seen.append(f"{name} <")
        if manner == "fails at its end":
            raise ValueError(f"{name} failed")

    async def waiting_steps() -> AsyncIterator[None]:
        with contextmanager(steps)():
            yield

    return type(name, (SchemaExtension,), {"on_execute": lambda _: waiting_steps() if waits else steps()})


async def outcome_of(phase: AbstractAsyncContextManager[Any], seen: list[str], *, raises: bool) -> list[str]:
    """What was seen of the hooks, and what came out in the end."""
    seen.clear()
    try:
        async with phase:
            seen.append("inside")
            if raises:
                raise ValueError("inside")
    except ValueError as error:
        return [*seen, f"raised {error}"]
    return list(seen)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hooks=st.lists(st.tuples(st.sampled_from(get_args(Manner)), st.booleans()), max_size=4),
    raises=st.booleans(),
)
async def test_errors_pass_through_the_hooks_as_contextlib_has_it(
    hooks: list[tuple[Manner, bool]], raises: bool
) -> None:
    """Whatever the hooks do with what is raised: the same is seen and the same comes out as with an AsyncExitStack."""
    manners = [manner for manner, _ in hooks]
    assume(not ("swallows" in manners and "refuses" in manners))  # nothing could be run, and nothing be raised
    seen: list[str] = []
    extensions = [hook_of(manner, f"{place}", seen, waits=waits)() for place, (manner, waits) in enumerate(hooks)]

    @asynccontextmanager
    async def by_contextlib() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for extension, (_, waits) in zip(extensions, hooks, strict=True):
                hook = extension.on_execute
                if waits:
                    await stack.enter_async_context(asynccontextmanager(hook)())  # type: ignore[arg-type]
                else:
                    stack.enter_context(contextmanager(hook)())  # type: ignore[arg-type]
            yield

    ours = await outcome_of(ExtensionsRunner(ExecutionContext, extensions).executing(), seen, raises=raises)

    assert ours == await outcome_of(by_contextlib(), seen, raises=raises)
