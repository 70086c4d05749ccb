"""A field's arguments for the short road, which reads the plain ones itself: as its resolver would get them.

Strawberry asks anew at every request which type each argument has and how it is called, which takes a tenth of all
that a page costs.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from graphql import GraphQLField
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryOptional

from schema.flat_inputs import build_flat, check_leaf, is_flat

Convert = Callable[[Any], Any]

_DECLARATION = GraphQLCoreConverter.DEFINITION_BACKREF


class Arguments:
    """How the arguments of one field are read. Raises TypeError for a field whose arguments are no leaves, lists of
    leaves or flat inputs."""

    __slots__ = ("_declared",)

    def __init__(self, field: GraphQLField) -> None:
        self._declared = {name: _how(made.extensions[_DECLARATION]) for name, made in field.args.items()}

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """From what graphql-core gives to what the resolver takes."""
        read: dict[str, Any] = {}
        for name, value in given.items():
            python_name, convert = self._declared[name]
            read[python_name] = value if convert is None or value is None else convert(value)
        return read


def _how(declared: StrawberryArgument) -> tuple[str, Convert | None]:
    """What an argument is called in Python, and how its value is converted; None where it is the value already."""
    of: Any = declared.type
    while isinstance(of, StrawberryOptional):
        of = of.of_type
    if is_flat(of):
        return declared.python_name, partial(build_flat, of)
    check_leaf(of, declared.python_name)
    return declared.python_name, None
