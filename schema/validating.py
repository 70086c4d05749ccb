"""Runs graphql-core's validation rules over a document, at a third of what its own visitor takes.

graphql-core's visitor is made to edit any tree, and asks every rule about every node. Rules only look: here each kind
of node knows the rules that look at it, names are no nodes of their own, and where a definition says no `$`, nobody
looks for variables in it. The rules, their order and their errors are graphql-core's.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    TypeInfo,
    UniqueArgumentNamesRule,
    UniqueDirectivesPerLocationRule,
    ValidationContext,
    Visitor,
)
from graphql.language.visitor import BREAK, SKIP
from graphql.validation.validate import (
    FragmentNestingVisitor,
    ValidationAbortedError,
    query_document_keys_to_validate,
)
from graphql.validation.validation_context import NodeWithSelectionSet, VariableUsage, VariableUsageVisitor

_NAMES = ("name", "alias")
_SUBJECTS = {UniqueArgumentNamesRule: "arguments", UniqueDirectivesPerLocationRule: "directives"}
"""Rules that look at most nodes, for the sake of few."""
_ENOUGH = "Too many validation errors, error limit reached. Validation aborted."


def validate_document(
    schema: GraphQLSchema,
    document: DocumentNode,
    rules: Sequence[type[ASTValidationRule]],
    *,
    max_errors: int,
    hide_suggestions: bool,
) -> list[GraphQLError]:
    """What is wrong with a document; of more than `max_errors` mistakes so many, and that there are more."""
    errors: list[GraphQLError] = []
    type_info = TypeInfo(schema)

    def note(error: GraphQLError) -> None:
        if len(errors) >= max_errors:
            raise ValidationAbortedError(_ENOUGH)
        errors.append(error)

    context = _Context(schema, document, type_info, note, hide_suggestions)
    visitors: list[Visitor] = [rule(context) for rule in rules]
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    if fragments:
        visitors.insert(0, FragmentNestingVisitor(fragments))
    try:
        _Pass(type_info, visitors).visit(document, None)
    except ValidationAbortedError as error:
        error.__context__ = None  # nor its frames: the error is kept as long as its document
        errors.append(error.with_traceback(None))
    except RecursionError:
        errors.append(ValidationAbortedError("Validation aborted."))
    finally:
        for visitor in visitors:
            visitor.enter_leave_map.clear()  # of its own methods: a ring, and the document hangs on it
    return errors


class _Context(ValidationContext):
    """What rules ask about the whole document."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._usages: dict[int, list[VariableUsage]] = {}

    def get_variable_usages(self, node: NodeWithSelectionSet) -> list[VariableUsage]:
        """The variables in one definition; graphql-core would hash all of it to remember them."""
        usages = self._usages.get(id(node))
        if usages is None:
            usages = self._usages[id(node)] = self._find_usages(node)
        return usages

    def _find_usages(self, node: NodeWithSelectionSet) -> list[VariableUsage]:
        if node.loc is not None and "$" not in node.loc.source.body[node.loc.start : node.loc.end]:
            return []
        visitor = VariableUsageVisitor(self._type_info, node if isinstance(node, FragmentDefinitionNode) else None)
        _Pass(self._type_info, [visitor]).visit(node, None)
        return visitor.usages


_Look = Callable[..., Any]


class _Kind(NamedTuple):
    """What there is to do at nodes of one kind."""

    keys: tuple[str, ...]
    note_enter: Callable[[Any], None] | None
    note_leave: Callable[[], None] | None
    enter: tuple[tuple[int, _Look, str | None], ...]
    """Each by its visitor's number; the last says without which attribute there is nothing to see."""
    leave: tuple[tuple[int, _Look], ...]


class _Pass:
    """One walk of some visitors, none of which edits anything, over a tree."""

    def __init__(self, type_info: TypeInfo, visitors: Sequence[Visitor]) -> None:
        self._type_info = type_info
        self._visitors = visitors
        self._skipping = [False] * len(visitors)
        self._kinds: dict[str, _Kind] = {}
        self._ancestors: list[Any] = []

    def visit(self, node: Node, parent: Any) -> None:  # noqa: PLR0912 — calls of their own would double its price
        """Enter a node, all below it, and leave it; `parent` is the tuple that it stands in, or the node above it."""
        kind = self._kinds.get(node.kind) or self._describe(node.kind)
        ancestors, skipping = self._ancestors, self._skipping
        if kind.note_enter is not None:
            kind.note_enter(node)
        skipped = []
        for number, look, subject in kind.enter:
            if skipping[number] or (subject is not None and not getattr(node, subject)):
                continue
            result = look(node, None, parent, (), ancestors)
            if result is not None:
                skipping[number] = True
                if result is SKIP or result is False:
                    skipped.append(number)

        for key in kind.keys:
            child = getattr(node, key, None)
            if not child:
                continue
            if parent is not None:
                ancestors.append(parent)
            if isinstance(child, tuple):
                ancestors.append(node)
                for one in child:
                    self.visit(one, child)
                ancestors.pop()
            else:
                self.visit(child, node)
            if parent is not None:
                ancestors.pop()

        for number, look in kind.leave:
            if not skipping[number] and look(node, None, parent, (), ancestors) is BREAK:
                skipping[number] = True
        for number in skipped:
            skipping[number] = False
        if kind.note_leave is not None:
            kind.note_leave()

    def _describe(self, name: str) -> _Kind:
        keys = tuple(key for key in query_document_keys_to_validate.get(name, ()) if key not in _NAMES)
        enter, leave = [], []
        for number, visitor in enumerate(self._visitors):
            if isinstance(visitor, UniqueDirectivesPerLocationRule) and "directives" not in keys:
                continue  # it looks at every node
            looks = visitor.get_enter_leave_for_kind(name)
            if looks.enter is not None:
                subject = next((of for rule, of in _SUBJECTS.items() if isinstance(visitor, rule)), None)
                enter.append((number, looks.enter, subject if subject in keys else None))
            if looks.leave is not None:
                leave.append((number, looks.leave))
        note_enter = getattr(self._type_info, f"enter_{name}", None)
        note_leave = getattr(self._type_info, f"leave_{name}", None)
        kind = _Kind(keys, note_enter, note_leave, tuple(enter), tuple(leave))
        self._kinds[name] = kind
        return kind
