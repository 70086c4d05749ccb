"""Calls the extensions' hooks as Strawberry does, but looks up once per class which of them there are.

Strawberry asks every extension for every phase of every operation, and wraps each hook that it finds anew; for a short
operation that is a fifth of the work. The order is the same: the first extension is entered first and left last.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from contextlib import contextmanager as make_context_manager
from functools import cache
from inspect import isasyncgenfunction
from types import TracebackType
from typing import Any

from strawberry.extensions import SchemaExtension
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.types import ExecutionContext
from strawberry.utils.await_maybe import await_maybe

_Hook = Callable[[SchemaExtension], AbstractContextManager[None] | AbstractAsyncContextManager[None]]


class ExtensionsRunner(SchemaExtensionsRunner):
    """For extensions whose hooks are generators, as all of ours are; events of subscriptions go Strawberry's way."""

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

    async def get_extensions_results(self, ctx: ExecutionContext) -> dict[str, Any]:
        """What the extensions tell with the answer."""
        told: dict[str, Any] = {}
        for extension in self.extensions:
            if type(extension).get_results is not SchemaExtension.get_results:
                told.update(await await_maybe(extension.get_results()))
        return told | ctx.extensions_results


class _Phase:
    """One phase of one operation, as an asynchronous context."""

    __slots__ = ("_extensions", "_name", "_stack")

    def __init__(self, extensions: Iterable[SchemaExtension], name: str) -> None:
        self._extensions = extensions
        self._name = name
        self._stack: AsyncExitStack | None = None

    async def __aenter__(self) -> None:
        for extension in self._extensions:
            hook, is_async = _find_hook(type(extension), self._name)  # type: ignore[arg-type] # classes are hashable
            if hook is None:
                continue
            if self._stack is None:
                self._stack = AsyncExitStack()
            entered: Any = hook(extension)
            try:
                if is_async:
                    await self._stack.enter_async_context(entered)
                else:
                    self._stack.enter_context(entered)
            except BaseException as error:  # those that were entered are left, where Strawberry would forget them
                await self._stack.__aexit__(type(error), error, error.__traceback__)
                raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stack is not None:
            await self._stack.__aexit__(kind, error, trace)


@cache
def _find_hook(extension: type[SchemaExtension], name: str) -> tuple[_Hook | None, bool]:
    """A class's own hook as a context manager, and whether it is asynchronous."""
    hook = getattr(extension, name)
    if hook is getattr(SchemaExtension, name):
        return None, False
    if isasyncgenfunction(hook):
        return asynccontextmanager(hook), True
    return make_context_manager(hook), False
