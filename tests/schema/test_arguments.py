"""The short road's own reading of arguments, held against Strawberry's."""

from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLScalarType,
    is_list_type,
    is_object_type,
)
from hypothesis import given
from hypothesis import strategies as st
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_arguments

from schema.arguments import Arguments
from schema.build import build_schema

SCHEMA = build_schema()
BUILT = SCHEMA._schema
BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF


def fields_with(*, flat: bool) -> dict[str, GraphQLField]:
    """All fields with arguments, of which those of mutations hold inputs within inputs."""
    return {
        f"{name}.{key}": field
        for name, of in BUILT.type_map.items()
        if is_object_type(of) and not name.startswith("__") and (of is BUILT.mutation_type) is not flat
        for key, field in of.fields.items()
        if field.args
    }


def values(of: GraphQLInputType) -> st.SearchStrategy[Any]:
    """What graphql-core gives for an argument of this type."""
    if isinstance(of, GraphQLNonNull):
        return some(of.of_type)
    return st.none() | some(of)


def some(of: Any) -> st.SearchStrategy[Any]:
    """The same, without null."""
    if is_list_type(of):
        return st.lists(values(of.of_type), max_size=3)
    if isinstance(of, GraphQLInputObjectType):
        return st.fixed_dictionaries({}, optional={name: values(field.type) for name, field in of.fields.items()})
    if isinstance(of, GraphQLEnumType):
        return st.sampled_from([value.value for value in of.values.values()])
    assert isinstance(of, GraphQLScalarType)
    return {GraphQLInt: st.integers(), BUILT.type_map["DateTime"]: st.datetimes()}.get(of, st.text())


@given(data=st.data())
def test_arguments_are_read_as_strawberry_reads_them(data: st.DataObject) -> None:
    """For every field but the mutations', and whatever of its arguments is given."""
    name, field = data.draw(st.sampled_from(sorted(fields_with(flat=True).items(), key=lambda item: item[0])))
    given = data.draw(st.fixed_dictionaries({}, optional={key: values(arg.type) for key, arg in field.args.items()}))
    converter = SCHEMA.schema_converter
    declared = field.extensions[BACKREF].arguments
    expected = convert_arguments(given, declared, converter.scalar_registry, SCHEMA.config)
    assert Arguments(field).read(given) == expected, name


def test_inputs_within_inputs_are_refused_at_the_start() -> None:
    """Not when somebody first asks."""
    field = fields_with(flat=False)["Mutation.schedulePost"]
    with pytest.raises(TypeError, match="holds fields of its own"):
        Arguments(field)
