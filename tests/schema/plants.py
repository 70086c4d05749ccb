"""Changes of a whole contract at once, to see that each of them is found: visitors of its SDL."""

from dataclasses import replace
from typing import Any

from graphql import (
    EnumTypeDefinitionNode,
    EnumValueDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    Node,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    StringValueNode,
    TypeDefinitionNode,
    Visitor,
    parse,
)


class Undescribed(Visitor):
    """Takes every description away."""

    def enter(self, node: Node, *_: Any) -> Node | None:
        """Of whatever has one."""
        return replace(node, description=None) if getattr(node, "description", None) is not None else None


class Reworded(Visitor):
    """Puts every description in other words."""

    def enter(self, node: Node, *_: Any) -> Node | None:
        """Of whatever has one."""
        told = getattr(node, "description", None)
        return None if told is None else replace(node, description=StringValueNode(value=f"{told.value} Really."))


class Deprecated(Visitor):
    """Deprecates every field, argument, input field and enum value that may be."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        [kind] = parse(f'type T {{ a: Int @deprecated(reason: "{reason}") }}').definitions
        self._mark = kind.fields[0].directives  # type: ignore[union-attr]

    def enter(self, node: Node, *_: Any) -> Node | None:
        """Whatever is required cannot go before it is made optional."""
        if isinstance(node, InputValueDefinitionNode) and isinstance(node.type, NonNullTypeNode):
            return None
        is_one = isinstance(node, FieldDefinitionNode | EnumValueDefinitionNode | InputValueDefinitionNode)
        return replace(node, directives=self._mark) if is_one else None


class WithoutLast(Visitor):
    """Drops the last field or value of everything that has several."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: set[str] = set()

    def enter(self, node: Node, *_: Any) -> Node | None:
        """Whatever comes after the others."""
        for what in ("fields", "values"):
            held = getattr(node, what, None)
            if isinstance(node, TypeDefinitionNode) and held and len(held) > 1:
                self.dropped.add(f"{node.name.value}.{held[-1].name.value}")
                return replace(node, **{what: held[:-1]})
        return None


class WithMore(Visitor):
    """Adds a value to every enum and a field to every object and input."""

    def __init__(self) -> None:
        super().__init__()
        kinds = {kind.name.value: kind for kind in parse("enum E { NEWS } type T { news: Int }").definitions}  # type: ignore[attr-defined]
        [more] = parse("input I { news: Int }").definitions
        self._more = {
            EnumTypeDefinitionNode: ("values", kinds["E"].values),
            ObjectTypeDefinitionNode: ("fields", kinds["T"].fields),
            InputObjectTypeDefinitionNode: ("fields", more.fields),  # type: ignore[union-attr]
        }
        self.surprising: set[str] = set()
        self.harmless: set[str] = set()

    def enter(self, node: Node, *_: Any) -> Node | None:
        """At the end."""
        if type(node) not in self._more:
            return None
        what, more = self._more[type(node)]
        told = self.harmless if isinstance(node, ObjectTypeDefinitionNode) else self.surprising
        told.add(node.name.value)
        return replace(node, **{what: (*getattr(node, what), *more)})
