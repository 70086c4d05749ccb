"""What a document, and the variables that come with it, say about how long lists are and how much is brought along."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from services.domain.pages import DEFAULT_SIZE, MAX_SIZE

SIZE_ARGUMENTS = ("first", "last", "ids")

Sizes = Mapping[str, int]
"""The lengths that variables give to lists."""


def find_sizes(document: DocumentNode) -> frozenset[str]:
    """The variables that say how long lists are."""
    return frozenset(
        argument.value.name.value
        for argument in _arguments_of(document)
        if argument.name.value in SIZE_ARGUMENTS and isinstance(argument.value, VariableNode)
    )


def read_sizes(names: Iterable[str], document: DocumentNode, variables: Mapping[str, Any]) -> Sizes:
    """The lengths behind such variables: given, else their defaults, else one page."""
    defaults: dict[str, Any] = {
        definition.variable.name.value: literal_size(definition.default_value)
        for operation in operations_of(document)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    return {name: clamp(variables.get(name, defaults.get(name))) for name in names}


def count_values(document: DocumentNode) -> int:
    """How many values stand in the lists and objects among the arguments."""
    number = 0
    stack: list[Any] = [argument.value for argument in _arguments_of(document)]
    while stack:
        value = stack.pop()
        if isinstance(value, ListValueNode):
            stack.extend(value.values)
            number += len(value.values)
        elif isinstance(value, ObjectValueNode):
            stack.extend(field.value for field in value.fields)
            number += len(value.fields)
    return number


def literal_size(value: Any) -> int | list[Any] | None:
    """What a literal says about a length; the list itself where it is one."""
    if isinstance(value, IntValueNode):
        return int(value.value[:10])
    return list(value.values) if isinstance(value, ListValueNode) else None


def clamp(value: Any) -> int:
    """A length as it can come true: pages beyond the largest are refused before anything is read."""
    if isinstance(value, list):
        value = len(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return DEFAULT_SIZE
    return max(0, min(value, MAX_SIZE))


def operations_of(document: DocumentNode) -> Iterator[OperationDefinitionNode]:
    """The operations of a document."""
    return (node for node in document.definitions if isinstance(node, OperationDefinitionNode))


def selections_of(selection_set: SelectionSetNode | None) -> Iterator[Any]:
    """All selections below one set, without following spreads."""
    stack = [selection_set]
    while stack:
        for selection in getattr(stack.pop(), "selections", ()):
            yield selection
            stack.append(getattr(selection, "selection_set", None))


def _arguments_of(document: DocumentNode) -> Iterator[ArgumentNode]:
    """The arguments of every field that stands anywhere in a document; where its text has no bracket, nobody looks."""
    for definition in document.definitions:
        if (
            definition.loc is not None
            and "(" not in definition.loc.source.body[definition.loc.start : definition.loc.end]
        ):
            continue
        for node in selections_of(getattr(definition, "selection_set", None)):
            if isinstance(node, FieldNode):
                yield from node.arguments or ()
