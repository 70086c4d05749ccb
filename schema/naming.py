"""What an operation is called by those who count operations: its kind, its name, and the root field it asks for."""

from collections.abc import Iterator
from dataclasses import dataclass

from graphql import DocumentNode, FieldNode, FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode
from graphql import SelectionSetNode as Selections

SEVERAL = "several"
_FREE = "__typename"
"""Asked for beside everything, and worth no name of its own."""


@dataclass(frozen=True, slots=True)
class OperationFacts:
    """One operation of a valid document."""

    kind: str
    """query, mutation or subscription"""
    name: str | None
    """The client's choice: whoever keeps it must bound how many."""
    field: str
    """The root field, a name of the schema's; `several` for more than one."""


def describe_operations(document: DocumentNode) -> dict[str, OperationFacts]:
    """The facts of every operation by its name, '' for one without. The document must be valid."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    described = {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            name = node.name.value if node.name else None
            roots = set(_root_fields(node.selection_set, fragments))
            chosen = roots - {_FREE} or roots
            field = next(iter(chosen)) if len(chosen) == 1 else SEVERAL
            described[name or ""] = OperationFacts(node.operation.value, name, field)
    return described


def _root_fields(selections: Selections, fragments: dict[str, FragmentDefinitionNode]) -> Iterator[str]:
    """The names of the fields of one level, each fragment followed once."""
    seen: set[str] = set()
    stack = [selections]
    while stack:
        for selection in stack.pop().selections:
            if isinstance(selection, FieldNode):
                yield selection.name.value
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name not in seen:
                    seen.add(name)
                    stack.append(fragments[name].selection_set)
            else:
                stack.append(selection.selection_set)  # type: ignore[attr-defined] # an inline fragment, the third kind
