"""Inputs of plain values: built in one step, where Strawberry looks up names and types field by field, every time."""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from strawberry.types.arguments import InputContext
from strawberry.types.base import StrawberryList, StrawberryObjectDefinition, StrawberryOptional
from strawberry.utils.str_converters import to_camel_case

T = TypeVar("T", bound=type)


def flat(kind: T) -> T:
    """For an input whose fields are leaves or lists of leaves: what GraphQL hands over are the values already.

    Raises TypeError for any other field, when the schema is built.
    """
    definition: StrawberryObjectDefinition = vars(kind)["__strawberry_definition__"]
    definition.from_input = _build
    return kind


def is_flat(kind: type) -> bool:
    """Whether a type is such an input."""
    return getattr(getattr(kind, "__strawberry_definition__", None), "from_input", None) is _build


def build_flat(kind: type, given: Mapping[str, Any]) -> object:
    """The input, of its fields by their names in the schema."""
    names = _python_names(kind)
    # A list that is a default belongs to the schema, and is copied for whoever may change it.
    return kind(**{names[name]: value[:] if isinstance(value, list) else value for name, value in given.items()})


def check_leaf(of: Any, name: str) -> None:
    """Raise TypeError where what is called so is neither a leaf nor a list of leaves."""
    while isinstance(of, (StrawberryOptional, StrawberryList)):
        of = of.of_type
    if hasattr(of, "__strawberry_definition__") and hasattr(vars(of)["__strawberry_definition__"], "fields"):
        raise TypeError(f"{name} holds fields of its own")


def _build(kind: type, given: Mapping[str, Any], _: InputContext) -> object:
    return build_flat(kind, given)


@cache
def _python_names(kind: type) -> Mapping[str, str]:
    """The attributes of an input by the fields' names in the schema."""
    definition: StrawberryObjectDefinition = vars(kind)["__strawberry_definition__"]
    for field in definition.fields:
        check_leaf(field.type, f"{kind.__name__}.{field.python_name}")
    return {field.graphql_name or to_camel_case(field.python_name): field.python_name for field in definition.fields}
