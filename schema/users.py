"""People and operators as GraphQL shows them."""

import strawberry

from schema.nodes import Node
from services.domain import viewers


@strawberry.type(description="A person who schedules posts, or an operator.")
class User(Node):
    """Read off a domain `User`."""

    stands_for = viewers.User

    name: str = strawberry.field(description="What they are called.")
    role: viewers.Role = strawberry.field(description="What they may do.")
