"""Puts the roots, the scalars and the extensions together into the one schema."""

from collections.abc import Callable, Sequence
from functools import cache

import strawberry
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.types.arguments import StrawberryArgument
from strawberry.utils.str_converters import to_camel_case

from schema.extensions.error_codes import QuietSchema
from schema.extensions.request_timeout import TimedExecutor
from schema.mutation import Mutation
from schema.query import Query
from schema.rendered import open_short_roads
from schema.scalars import SCALARS
from schema.subscription import Subscription

_to_camel_case = cache(to_camel_case)


class KnownNames(NameConverter):
    """Camel case, worked out once for each name; Strawberry asks for every argument of every request."""

    def apply_naming_config(self, name: str) -> str:
        """The name in the schema."""
        return _to_camel_case(name)

    def from_argument(self, argument: StrawberryArgument) -> str:
        """An argument's name in the schema."""
        return argument.graphql_name or _to_camel_case(argument.python_name)


def build_schema(
    *,
    extensions: Sequence[type[SchemaExtension] | Callable[[], SchemaExtension]] = (),
    field_suggestions: bool = True,
) -> strawberry.Schema:
    """The schema that is served. Extensions are classes or factories: one of each is made per operation."""
    schema = QuietSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        extensions=list(extensions),
        execution_context_class=TimedExecutor,
        config=StrawberryConfig(
            name_converter=KnownNames(), scalar_map=SCALARS, disable_field_suggestions=not field_suggestions
        ),
    )
    open_short_roads(schema._schema)
    return schema


def print_schema_text() -> str:
    """The contract as SDL, which `schema/schema.graphql` holds."""
    return f"{build_schema().as_str()}\n"
