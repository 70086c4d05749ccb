"""What a root field was asked for: the GraphQL document as a plain `Selection`.

One walk by the rules of execution: `@skip` and `@include` decide, fields of one name are one field, a fragment counts
where its type fits. A fragment that is spread twice in one place is read once, so the walk is as long as the document
and not as long as what it spells out. It is done once per document and per choice of the variables that `@skip` and
`@include` may look at; the values of all other variables are read anew for every request.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionSetNode,
    get_directive_values,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    type_from_ast,
)
from graphql.execution.values import VariableValues, get_argument_values

from schema.arguments import Arguments
from schema.conversions import read_account_filter, read_post_filter
from services.domain.pages import ask_page
from services.domain.selection import ListAsked, Selected, Selection

_CHOICES_KEPT = 50

Choice = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """What was selected, and where the arguments of lists are written, each at its `Selected.place`."""

    selection: Selection
    arguments: tuple[tuple[GraphQLField, Arguments, FieldNode], ...]


@dataclass(slots=True)
class Outlines:
    """The outlines of one document's root fields."""

    _known: OrderedDict[Choice, Outline] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    def read(self, info: GraphQLResolveInfo[Any]) -> Outline:
        """The outline of the field that is being resolved."""
        choice = (id(info.operation), info.path.key, *_switches(info))
        outline = self._known.get(choice)
        if outline is None:
            outline = self._known[choice] = _Walk(info).outline()
            if len(self._known) > _CHOICES_KEPT:
                self._known.popitem(last=False)
        return outline


def read_lists(outline: Outline, info: GraphQLResolveInfo[Any]) -> Iterator[ListAsked]:
    """The arguments of all lists below the root. Raises Refused as their resolvers would."""
    values = VariableValues({}, _values(info))
    for definition, arguments, node in outline.arguments:
        yield read_list(arguments.read(get_argument_values(definition, node, values)))


def read_list(given: Mapping[str, Any]) -> ListAsked:
    """The arguments of a list as its resolver gets them."""
    wanted = given.get("wanted")
    return ListAsked(
        page=ask_page(**{name: given.get(name) for name in ("first", "after", "last", "before")}),
        wanted=read_post_filter(wanted) if "order_by" in given else read_account_filter(wanted),
        order=given.get("order_by"),
    )


def _switches(info: GraphQLResolveInfo[Any]) -> Iterator[object]:
    """The values of the variables that `@skip` and `@include` may look at."""
    for definition in info.operation.variable_definitions or ():
        kind = definition.type
        named = getattr(kind, "type", kind)
        if getattr(getattr(named, "name", None), "value", None) == "Boolean":
            yield _values(info).get(definition.variable.name.value)


def _values(info: GraphQLResolveInfo[Any]) -> dict[str, Any]:
    """The variables; graphql-core's type says otherwise, but Strawberry hands resolvers the plain values."""
    return cast("dict[str, Any]", info.variable_values)


class _Walk:
    """One walk over what stands below one root field."""

    def __init__(self, info: GraphQLResolveInfo[Any]) -> None:
        self._info = info
        self._schema: GraphQLSchema = info.schema
        self._fragments: Mapping[str, FragmentDefinitionNode] = info.fragments
        self._variables = VariableValues({}, _values(info))
        self._arguments: list[tuple[GraphQLField, Arguments, FieldNode]] = []

    def outline(self) -> Outline:
        """The whole of it."""
        selection = self._select(self._info.field_nodes, self._info.return_type)
        return Outline(selection, tuple(self._arguments))

    def _select(self, nodes: Iterable[FieldNode], gives: GraphQLOutputType) -> Selection:
        """What is selected of the objects that these fields of one name give."""
        named = get_named_type(gives)
        types = self._schema.get_possible_types(named) if is_abstract_type(named) else [named]
        sets = [node.selection_set for node in nodes if node.selection_set is not None]
        return Selection({of.name: tuple(self._fields(sets, of)) for of in types if isinstance(of, GraphQLObjectType)})

    def _fields(self, sets: Iterable[SelectionSetNode], of: GraphQLObjectType) -> Iterator[Selected]:
        for key, nodes in self._collect(sets, of).items():
            definition = self._schema.get_field(of, nodes[0].name.value)
            if definition is None:  # validation refuses it
                continue
            place = None
            if definition.args:
                place = len(self._arguments)
                self._arguments.append((definition, Arguments(definition), nodes[0]))
            below = None
            if is_composite_type(get_named_type(definition.type)):
                below = self._select(nodes, definition.type)
            yield Selected(key, nodes[0].name.value, below, place)

    def _collect(self, sets: Iterable[SelectionSetNode], of: GraphQLObjectType) -> dict[str, list[FieldNode]]:
        """The fields of an object by their names in the answer, fragments resolved; each is read once."""
        found: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        stack = [selection for each in reversed(list(sets)) for selection in reversed(each.selections)]
        while stack:
            node = stack.pop()
            if not self._is_included(node):
                continue
            if isinstance(node, FieldNode):
                found.setdefault((node.alias or node.name).value, []).append(node)
                continue
            fragment: InlineFragmentNode | FragmentDefinitionNode | None = None
            if isinstance(node, InlineFragmentNode):
                fragment = node
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                fragment = self._fragments.get(node.name.value)
            if fragment is not None and self._fits(fragment, of):
                stack.extend(reversed(fragment.selection_set.selections))
        return found

    def _is_included(self, node: Any) -> bool:
        if not node.directives:
            return True
        skip = get_directive_values(GraphQLSkipDirective, node, self._variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self._variables)
        return not (skip and skip["if"]) and (include is None or bool(include["if"]))

    def _fits(self, fragment: InlineFragmentNode | FragmentDefinitionNode, of: GraphQLObjectType) -> bool:
        if fragment.type_condition is None:
            return True
        wanted = type_from_ast(self._schema, fragment.type_condition)
        return wanted is of or (is_abstract_type(wanted) and self._schema.is_sub_type(wanted, of))
