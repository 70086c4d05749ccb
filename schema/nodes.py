"""Everything that has an id of its own: Relay's `Node`."""

from typing import ClassVar

import strawberry
from graphql import GraphQLResolveInfo

from resolvers.context import Context
from schema.fields import field
from services.domain.accounts import Account
from services.domain.ids import Kind, encode_id
from services.domain.posts import Attempt, Media, Post, PostTarget
from services.domain.viewers import User

Named = User | Account | Post | PostTarget | Media | Attempt

KINDS: dict[type[Named], Kind] = {
    User: Kind.USER,
    Account: Kind.ACCOUNT,
    Post: Kind.POST,
    PostTarget: Kind.TARGET,
    Media: Kind.MEDIA,
    Attempt: Kind.ATTEMPT,
}


@strawberry.interface(description="Anything with an id of its own: `node(id)` finds it again.")
class Node:
    """The interface; a type that has it says which domain class it is read off."""

    stands_for: ClassVar[type[Named]]

    @field(strawberry.ID, "Opaque, the same for ever, and unlike any other object's.")
    @staticmethod
    def id(root: strawberry.Parent[Named]) -> strawberry.ID:
        """The domain's key with the prefix of its kind."""
        return strawberry.ID(encode_id(KINDS[type(root)], root.id))

    @classmethod
    def is_type_of(cls, value: object, _info: GraphQLResolveInfo[Context]) -> bool:
        """Whether `value` is shown as this type; GraphQL asks where a field could hold several types."""
        return type(value) is cls.stands_for
