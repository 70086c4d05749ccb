"""Calls the extensions' hooks as Strawberry does, but looks up once per class which of them there are.

Strawberry asks every extension for every phase of every operation, and wraps each hook that it finds in two context
managers; for a short operation that is a third of the work. Here the generators that hooks are run bare. The order is
the same: the first extension is entered first and left last.
"""

from collections.abc import Callable, Sequence
from functools import cache
from types import AsyncGeneratorType, GeneratorType, TracebackType
from typing import Any, TypeAlias

from strawberry.extensions import SchemaExtension
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.types import ExecutionContext, StreamExecutionResult

_Steps: TypeAlias = "GeneratorType[None, None, None] | AsyncGeneratorType[None, None]"
"""A hook that was called: it runs to its `yield`, and later to its end."""


class ExtensionsRunner(SchemaExtensionsRunner):
    """For extensions whose hooks are generators, as all of ours are."""

    def operation(self) -> Any:
        """Around everything."""
        return _Phase(self.extensions, "on_operation")

    def parsing(self) -> Any:
        """Around the parser."""
        return _Phase(self.extensions, "on_parse")

    def validation(self) -> Any:
        """Around the validation."""
        return _Phase(self.extensions, "on_validate")

    def executing(self) -> Any:
        """Around the execution."""
        return _Phase(self.extensions, "on_execute")

    def on_stream_result(self, result: StreamExecutionResult) -> Any:
        """Around one event of a subscription on its way out."""
        return _Phase(self.extensions, "on_stream_result", result)

    async def get_extensions_results(self, ctx: ExecutionContext) -> dict[str, Any]:
        """What the extensions tell with the answer."""
        told: dict[str, Any] = {}
        for extension in self.extensions:
            if type(extension).get_results is not SchemaExtension.get_results:
                results = extension.get_results()
                told.update(results if isinstance(results, dict) else await results)
        return told | ctx.extensions_results


class _Phase:
    """One phase of one operation, as an asynchronous context: errors pass through the hooks as contextlib has it."""

    __slots__ = ("_entered", "_extensions", "_given", "_name")

    def __init__(self, extensions: Sequence[SchemaExtension], name: str, *given: object) -> None:
        self._extensions = extensions
        self._name = name
        self._given = given
        self._entered: list[_Steps] = []

    async def __aenter__(self) -> None:
        for extension in self._extensions:
            hook = _find_hook(type(extension), self._name)  # type: ignore[arg-type] # classes are hashable
            if hook is None:
                continue
            steps = hook(extension, *self._given)
            try:
                if not await _is_at_yield(steps):
                    raise RuntimeError(f"{self._name} of {type(extension).__name__} ended without a yield")
            except BaseException as error:  # those that were entered are left, where Strawberry would forget them
                left = await self._leave(error)
                if left is None or left is error:
                    raise
                raise left from error
            self._entered.append(steps)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        left = await self._leave(error)
        if left is not None and left is not error:
            raise left
        return left is None

    async def _leave(self, error: BaseException | None) -> BaseException | None:
        """Let every hook run to its end, the last one first. What is raised goes from one to the next, and may become
        something else, or nothing, on the way."""
        while self._entered:
            steps = self._entered.pop()
            try:
                if await _is_at_yield(steps, error):
                    error = RuntimeError(f"{self._name} of an extension yielded twice")
                else:
                    error = None
            except BaseException as other:
                error = other
        return error


async def _is_at_yield(steps: _Steps, error: BaseException | None = None) -> bool:
    """Go on, with `error` raised where the hook stands; False where that was its end."""
    try:
        if isinstance(steps, AsyncGeneratorType):
            await (anext(steps) if error is None else steps.athrow(error))
        elif error is None:
            next(steps)
        else:
            steps.throw(error)
    except (StopIteration, StopAsyncIteration):
        return False
    return True


@cache
def _find_hook(extension: type[SchemaExtension], name: str) -> Callable[..., _Steps] | None:
    """A class's own hook; None where it has none."""
    hook = getattr(extension, name)
    return None if hook is getattr(SchemaExtension, name) else hook
