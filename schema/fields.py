"""Fields with a resolver, as this schema declares them."""

from collections.abc import Callable
from typing import TypeVar, cast

import strawberry
from strawberry.extensions import FieldExtension

F = TypeVar("F")


def field(gives: object, description: str, *extensions: FieldExtension) -> Callable[[F], F]:
    """A field of the GraphQL type `gives`; unlike `strawberry.field` it leaves the resolver its type for mypy.

    The resolver returns what the GraphQL type is read off: a value of the domain.
    """
    made = strawberry.field(graphql_type=gives, description=description, extensions=list(extensions))
    return cast(Callable[[F], F], made)


def subscription(gives: object, description: str, *extensions: FieldExtension) -> Callable[[F], F]:
    """The same for a stream of events."""
    made = strawberry.subscription(graphql_type=gives, description=description, extensions=list(extensions))
    return cast(Callable[[F], F], made)
